"""Whatever bytes arrive, and however they are cut: frames come whole, in order, or not at all."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.channel import Channel
from sandbox.frames import HEADER, Frame, FrameTooLong, Kind, Unpacker, pack

PLENTY = settings(max_examples=200, deadline=None, database=None)
MAX_PAYLOAD = 64

frames = st.lists(
    st.builds(
        Frame,
        st.sampled_from([int(kind) for kind in Kind]),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=MAX_PAYLOAD),
    ),
    max_size=8,
)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=20)
hostile_headers = st.builds(
    HEADER.pack, st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 2**32 - 1)
)


def wire_of(given_frames: list[Frame]) -> bytes:
    return b"".join(pack(Kind(one.kind), one.stream, one.payload) for one in given_frames)


def cut(wire: bytes, sizes: list[int]) -> Iterator[bytes]:
    start = turn = 0
    while start < len(wire):
        size = sizes[turn % len(sizes)]
        yield wire[start : start + size]
        start, turn = start + size, turn + 1


def unpacked(parts: Iterator[bytes] | list[bytes]) -> tuple[list[Frame], bool]:
    """The frames, and whether the stream turned out to be useless."""
    unpacker = Unpacker(MAX_PAYLOAD)
    found: list[Frame] = []
    try:
        for part in parts:
            for frame in unpacker.feed(part):
                found.append(frame)  # noqa: PERF402  what came before the failure counts
    except FrameTooLong:
        return found, True
    return found, False


@PLENTY
@given(frames, cuts)
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    sent: list[Frame], sizes: list[int]
) -> None:
    assert unpacked(cut(wire_of(sent), sizes)) == (sent, False)


@PLENTY
@given(st.binary(max_size=300) | st.lists(hostile_headers).map(b"".join), cuts)
def test_any_bytes_mean_the_same_however_they_are_cut(wire: bytes, sizes: list[int]) -> None:
    found, useless = unpacked(cut(wire, sizes))

    assert (found, useless) == unpacked([wire])
    assert all(len(frame.payload) <= MAX_PAYLOAD for frame in found)


@PLENTY
@given(frames, st.integers(MAX_PAYLOAD + 1, 2**32 - 1), st.binary(max_size=50), cuts)
def test_what_came_before_a_hostile_header_is_kept_and_nothing_after_it(
    sent: list[Frame], length: int, rest: bytes, sizes: list[int]
) -> None:
    wire = wire_of(sent) + HEADER.pack(length, Kind.DATA, 1) + rest

    assert unpacked(cut(wire, sizes)) == (sent, True)


@PLENTY
@given(st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=20)), max_size=12))
def test_a_channel_keeps_the_order_of_each_open_stream(sent: list[tuple[int, bytes]]) -> None:
    own_end, other_end = socket.socketpair()
    with own_end:
        channel = Channel(own_end.fileno())
        with other_end:
            asked = httpx.Request("GET", "http://localhost/")
            opened = [channel.start_request(asked, b"") for _ in range(3)]
            for stream, payload in sent:
                other_end.sendall(pack(Kind.DATA, stream, payload))
            other_end.recv(2**20)  # closing with something unread would be a reset
        for stream in (*reversed(opened), 0):
            expected = [payload for number, payload in sent if number == stream]
            assert [channel.next_blocking(stream).payload for _ in expected] == expected
        with pytest.raises(httpx.NetworkError):
            channel.next_blocking(0)
