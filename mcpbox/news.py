"""Wakes whoever waits for a request to move: the database tells, and nobody polls."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio

from mcpbox.domain.ids import RequestId

MAX_WAITING = 1024


class Ear:
    """Of one who waits; what is told before they listen again is not lost."""

    def __init__(self) -> None:
        self._told = anyio.Event()

    def tell(self) -> None:
        self._told.set()

    async def next(self) -> None:
        await self._told.wait()
        self._told = anyio.Event()


class RequestNews:
    def __init__(self) -> None:
        self._ears: dict[str, set[Ear]] = {}
        self._waiting = 0
        self.closed = False
        """Nobody should wait any more: the process stops."""

    @property
    def full(self) -> bool:
        return self._waiting >= MAX_WAITING

    def changed(self, key: str) -> None:
        """``key``: id of the request; empty where it may be any."""
        for about in [key] if key else list(self._ears):
            for ear in self._ears.get(about, ()):
                ear.tell()

    def close(self) -> None:
        self.closed = True
        self.changed("")

    @contextmanager
    def of(self, request_id: RequestId) -> Generator[Ear]:
        ear, key = Ear(), str(request_id)
        self._ears.setdefault(key, set()).add(ear)
        self._waiting += 1
        try:
            yield ear
        finally:
            self._waiting -= 1
            ears = self._ears[key]
            ears.discard(ear)
            if not ears:
                del self._ears[key]
