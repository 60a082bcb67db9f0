"""Framing of the one socket pair between the service and a child: a header, then the payload."""

import secrets
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

MAX_PAYLOAD = 16 * 2**20
HEADER = struct.Struct("<IBI")  # payload length, kind, stream
CALL_BITS = 8
"""The lower bits of a stream count the requests of its call."""


class Kind(IntEnum):
    """Jobs come on stream 0, output and result go on that of the call, HTTP requests on the next.

    See :func:`new_call`.
    """

    JOB = 1
    RESULT = 2
    REQUEST = 3
    HEAD = 4
    DATA = 5
    END = 6
    FAILURE = 7
    CANCEL = 8
    READY = 9
    OUTPUT = 10


class Frame(NamedTuple):
    kind: int
    """A :class:`Kind`, or any other byte: the sender may be hostile."""
    stream: int
    payload: bytes


class FrameTooLong(ValueError):
    pass


def pack(kind: Kind, stream: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(len(payload), kind, stream) + payload


def new_call() -> int:
    """The stream of one call: what is sent for another call, earlier or guessed, is told apart."""
    return secrets.randbelow(2**24) << CALL_BITS


def call_of(stream: int) -> int:
    return stream >> CALL_BITS << CALL_BITS


class Unpacker:
    """Cuts a byte stream into frames; keeps what is not yet whole."""

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._max_payload = max_payload
        self._buffer = bytearray()

    @property
    def is_empty(self) -> bool:
        """The next byte begins a frame."""
        return not self._buffer

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Whole frames, in order.

        Raises: FrameTooLong: the header announces more than allowed; the stream is then useless.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= HEADER.size:
                length, kind, stream = HEADER.unpack_from(buffer, start)
                if length > self._max_payload:
                    raise FrameTooLong(f"a frame of {length} bytes is announced")
                end = start + HEADER.size + length
                if len(buffer) < end:
                    return
                payload = bytes(buffer[start + HEADER.size : end])
                start = end
                yield Frame(kind, stream, payload)
        finally:
            del buffer[:start]
