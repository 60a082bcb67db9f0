"""The event loop of a tool: it needs no descriptor, so a fork server can make it for its children.

Making one costs a fresh child more than the rest of a short call.
"""

import asyncio
import selectors
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar, cast

Answer = TypeVar("Answer")


class ToolLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(selectors.PollSelector())

    def run_until_complete(
        self, future: Generator[Any, None, Answer] | Awaitable[Answer]
    ) -> Answer:
        """Many a tool never waits: then the first step is all, and nothing else need be set up."""
        if self.is_running():
            return super().run_until_complete(future)  # which refuses
        task = asyncio.ensure_future(cast("Awaitable[Answer]", future), loop=self)
        if len(self._steps) == 1:
            try:
                self._take_first_step()
            except BaseException:  # an exit, which a task has and raises as well
                if task.done() and not task.cancelled():
                    task.exception()
                raise
            if task.done() and not self._steps:
                return task.result()
        return super().run_until_complete(task)

    def is_idle(self) -> bool:
        """Whether nothing is left that would go on the next time it runs."""
        timers = cast("list[asyncio.TimerHandle]", vars(self)["_scheduled"])
        waiting = any(not timer.cancelled() for timer in timers)
        return not (waiting or self._steps or asyncio.all_tasks(self))

    @property
    def _steps(self) -> deque[Any]:
        return vars(self)["_ready"]

    def _take_first_step(self) -> None:
        """As ``run_forever`` would, by the same parts of the base class."""
        base = cast("Any", self)
        step = self._steps.popleft()
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(base._asyncgen_firstiter_hook, base._asyncgen_finalizer_hook)
        base._thread_id = threading.get_ident()
        asyncio._set_running_loop(self)
        try:
            step._run()
        finally:
            asyncio._set_running_loop(None)
            base._thread_id = None
            sys.set_asyncgen_hooks(*hooks)

    def __del__(self) -> None:
        """It is as old as its process gets, and is never closed."""

    def _make_self_pipe(self) -> None:
        """Nobody wakes it from outside: there are no threads, and no signal handlers."""
        vars(self).update(_ssock=None, _csock=None)

    def _close_self_pipe(self) -> None:
        """There is none."""
