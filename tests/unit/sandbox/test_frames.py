import pytest

from sandbox.frames import HEADER, Frame, FrameTooLong, Kind, Unpacker, pack


def test_frames_survive_being_cut_anywhere() -> None:
    frames = [Frame(Kind.JOB, 0, b"job"), Frame(Kind.END, 7, b""), Frame(Kind.DATA, 7, b"x" * 99)]
    wire = b"".join(pack(Kind(frame.kind), frame.stream, frame.payload) for frame in frames)

    for size in (1, 5, len(wire)):
        unpacker = Unpacker()
        parts = [wire[start : start + size] for start in range(0, len(wire), size)]
        assert [frame for part in parts for frame in unpacker.feed(part)] == frames


def test_a_frame_that_announces_too_much_is_refused_before_it_arrives() -> None:
    unpacker = Unpacker(max_payload=10)

    with pytest.raises(FrameTooLong):
        list(unpacker.feed(HEADER.pack(11, Kind.DATA, 1)))


def test_an_unknown_kind_is_handed_on_as_it_is() -> None:
    assert list(Unpacker().feed(HEADER.pack(0, 200, 3))) == [Frame(200, 3, b"")]
