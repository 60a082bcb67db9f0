"""Who may run now, who waits, and who is turned away."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Busy(Exception):
    """As many jobs run and wait as may."""


class Admission:
    """A bounded queue in front of all children, in the order of arrival."""

    def __init__(self, *, max_running: int = 8, max_waiting: int = 64) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._slots = asyncio.Semaphore(max_running)
        self.running = 0
        self.waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Raises: Busy."""
        if self._slots.locked() and self.waiting >= self._max_waiting:
            raise Busy(f"{self._max_running} jobs run and {self.waiting} wait; try again later.")
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()
