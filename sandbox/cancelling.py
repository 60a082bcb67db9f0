"""Runs that can be ended by the name that their caller gave them."""

import asyncio
from collections.abc import Awaitable, Callable

from sandbox.contract import ErrorKind, RunError, RunResult

CANCELLED = RunError(kind=ErrorKind.CANCELLED, message="The run was cancelled.")


class Duplicate(Exception):
    """A run of this name is in progress."""


class Stop:
    """Ends the task that made it, and can be told from any other cancellation of that task."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._asked = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Its run has ended; the answer may still be on its way."""

    def ask(self) -> None:
        self._asked = True
        self._task.cancel()

    def accept(self) -> bool:
        """Whether the task was cancelled by this; if so, it may go on."""
        if self._asked:
            self._task.uncancel()
        return self._asked


class Cancelling:
    def __init__(self) -> None:
        self._stops: dict[str, Stop] = {}

    async def run(self, run_id: str, work: Callable[[Stop], Awaitable[RunResult]]) -> RunResult:
        """Raises: Duplicate."""
        if run_id in self._stops:
            raise Duplicate
        stop = self._stops[run_id] = Stop()
        try:
            return await work(stop)
        except asyncio.CancelledError:
            if not stop.accept():
                raise
            return RunResult(ok=False, error=CANCELLED)
        finally:
            del self._stops[run_id]
            stop.over.set_result(None)

    async def cancel(self, run_id: str) -> bool:
        """Returns when its child is killed; ``False`` when nothing of this name runs."""
        stop = self._stops.get(run_id)
        if stop is None:
            return False
        stop.ask()
        await asyncio.wait((stop.over,))
        return True
