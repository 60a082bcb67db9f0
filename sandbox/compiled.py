"""Code compiled once, by the child that checked it; what was not used for long is forgotten."""

from collections import OrderedDict

MAX_BYTES = 512 * 2**10
"""Of one piece of code; larger ones are compiled in each child."""


class CompiledCode:
    """By source text: in a child, and nowhere else, it may run instead of it."""

    def __init__(self, *, max_bytes: int = 64 * 2**20) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._by_source: OrderedDict[str, bytes] = OrderedDict()

    def find(self, source: str) -> bytes | None:
        found = self._by_source.get(source)
        if found is not None:
            self._by_source.move_to_end(source)
        return found

    def keep(self, source: str, compiled: bytes) -> None:
        self._forget(source)
        self._by_source[source] = compiled
        self._bytes += _size(source, compiled)
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._by_source)))

    def _forget(self, source: str) -> None:
        known = self._by_source.pop(source, None)
        if known is not None:
            self._bytes -= _size(source, known)


def _size(source: str, compiled: bytes) -> int:
    return len(source) + len(compiled)
