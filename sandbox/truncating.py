"""What a call prints, up to its limit, and a note where it was cut."""

from collections.abc import Callable

_NOTE = "\n[output truncated: the limit is {limit} bytes]"
NOTE_BYTES = 100
"""It has no more."""


class Truncating:
    def __init__(self, limit_bytes: int, send: Callable[[bytes], object]) -> None:
        self._limit_bytes = limit_bytes
        self._room_bytes = limit_bytes
        self._send = send

    @property
    def is_full(self) -> bool:
        return self._room_bytes < 0

    def add(self, data: bytes) -> None:
        if not data or self.is_full:
            return
        if len(data) > self._room_bytes:
            note = _NOTE.format(limit=self._limit_bytes).encode()
            data = data[: self._room_bytes] + note
            self._room_bytes = -1
        else:
            self._room_bytes -= len(data)
        self._send(data)
