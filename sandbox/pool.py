"""Ready children, kept off the call path; each serves one job and dies."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from sandbox.child import Child, ChildFailed
from sandbox.foreign import ForeignModules
from sandbox.launcher import NO_CGROUP, Zygote, ZygoteFailed, launch
from sandbox.lockdown.cgroups import Cgroup, NoCgroup

_READY_TIMEOUT_S = 10.0
_REVIVAL_TIMEOUT_S = 30.0
_REVIVAL_PAUSE_S = 1.0
_CLEAN_UP_DELAY_S = 0.002

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """No child can be had now."""


class Loan:
    """One child for one job; cleaned up and replaced after the answer is on its way."""

    def __init__(self, pool: "Pool", *, speaks: bool) -> None:
        self._pool = pool
        self._speaks = speaks
        self._child: Child | None = None

    async def __aenter__(self) -> Child:
        """Raises: Unavailable."""
        self._child = await self._pool.begin(speaks=self._speaks)
        return self._child

    async def __aexit__(self, failed: type[BaseException] | None, *_: object) -> None:
        assert self._child is not None
        if failed is not None:
            self._child.kill()
        self._pool.end(self._child)


class Pool:
    """A zygote that replaces a dead one must have the same layers of isolation."""

    def __init__(
        self,
        *,
        size: int = 4,
        without: frozenset[str] = frozenset(),
        cgroup: Cgroup | NoCgroup = NO_CGROUP,
        foreign: ForeignModules | None = None,
        on_loss: Callable[[], None] | None = None,
        on_start: Callable[[bool], None] | None = None,
    ) -> None:
        """``on_loss``: called instead of replacing a zygote that died or does not answer.

        ``on_start``: told of each child whether it became ready.
        """
        self._on_start = on_start
        self._size = size
        self._without = without
        self._cgroup = cgroup
        self._foreign = foreign
        self._on_loss = on_loss
        self.in_use = 0
        self._idle: deque[Child] = deque()
        self._coming = 0
        self._alive = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._zygote: Zygote | None = None
        self._stopping = False

    @property
    def modules(self) -> frozenset[str]:
        """Top-level names that are not ours."""
        return frozenset(self._foreign.names if self._foreign else ())

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def ready(self) -> bool:
        return self._alive.is_set()

    @property
    def zygote(self) -> Zygote:
        """Raises: Unavailable."""
        if self._zygote is None or self._zygote.dead:
            raise Unavailable("The sandbox's fork server is being restarted; try again.")
        return self._zygote

    async def start(self) -> None:
        """Returns with all children ready. Raises: ZygoteFailed, ChildFailed."""
        self._adopt(await launch(self._without, self._cgroup, self._foreign))
        coming = [self._ready_child(prewarm=True) for _ in range(self._size)]
        self._idle.extend(await asyncio.gather(*coming))

    async def stop(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for child in self._idle:
            child.close()
        self._idle.clear()
        if self._zygote is not None:
            await self._zygote.stop()

    def child(self, *, speaks: bool = False) -> "Loan":
        """``speaks``: it is to be a server that speaks over stdio."""
        return Loan(self, speaks=speaks)

    async def begin(self, *, speaks: bool = False) -> Child:
        """Raises: Unavailable."""
        self.in_use += 1
        try:
            return await self._take(speaks=speaks)
        except BaseException:
            self.in_use -= 1
            raise

    def end(self, child: Child) -> None:
        self.in_use -= 1
        child.listen(None)
        asyncio.get_running_loop().call_later(_CLEAN_UP_DELAY_S, self._replace, child)

    async def lend(self, *, speaks: bool = False) -> Child:
        """For as long as the caller wants it, who then closes it. Raises: Unavailable."""
        child = await self.begin(speaks=speaks)
        self.in_use -= 1
        asyncio.get_running_loop().call_later(_CLEAN_UP_DELAY_S, self._refill)
        return child

    async def _take(self, *, speaks: bool) -> Child:
        """A server is forked when it is wanted: one that waits could not be given threads."""
        while self._idle and not speaks:
            child = self._idle.popleft()
            if child.usable:
                return child
            child.close()
        try:
            async with asyncio.timeout(_REVIVAL_TIMEOUT_S):
                await self._alive.wait()
            return await self._ready_child(speaks=speaks)
        except (ChildFailed, Unavailable, TimeoutError) as error:
            if self._on_loss is not None:
                self._on_loss()
            raise Unavailable("No sandbox process could be started; try again.") from error

    async def _ready_child(self, *, prewarm: bool = False, speaks: bool = False) -> Child:
        child = self.zygote.spawn(prewarm=prewarm, speaks=speaks)
        ready = False
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await child.ready
            ready = True
        finally:
            if self._on_start is not None:
                self._on_start(ready)
            if not ready:  # nobody will use it
                child.close()
        return child

    def _replace(self, child: Child) -> None:
        child.close()
        self._refill()

    def _refill(self) -> None:
        while not self._stopping and self._alive.is_set() and self._missing() > 0:
            self._coming += 1
            self._keep(self._add_one())

    def _missing(self) -> int:
        return self._size - len(self._idle) - self._coming

    def _has_time(self) -> bool:
        """To warm a child up; under load, what it would take is better spent on calls."""
        return self.in_use <= len(self._idle)

    async def _add_one(self) -> None:
        try:
            self._idle.append(await self._ready_child(prewarm=self._has_time()))
        except (ChildFailed, Unavailable, TimeoutError) as error:
            log.warning("A sandbox process could not be started: %s", error)
        finally:
            self._coming -= 1

    def _adopt(self, zygote: Zygote) -> None:
        self._zygote = zygote
        zygote.when_dead(lambda: self._lost(zygote))
        self._alive.set()

    def _lost(self, zygote: Zygote) -> None:
        if self._on_loss is not None:
            self._on_loss()
            return
        log.error("The sandbox's fork server died; it is restarted.")
        self._alive.clear()
        for child in self._idle:
            child.close()
        self._idle.clear()
        self._keep(self._revive(zygote))

    async def _revive(self, lost: Zygote) -> None:
        await lost.stop()
        while not self._stopping:
            try:
                zygote = await launch(self._without, self._cgroup, self._foreign)
            except ZygoteFailed as error:
                log.error("The sandbox's fork server does not start: %s", error)  # noqa: TRY400  no trace
            else:
                if zygote.started.layers == lost.started.layers:
                    self._adopt(zygote)
                    self._refill()
                    return
                log.error("The new fork server has fewer layers of isolation; it is not used.")
                await zygote.stop()
            await asyncio.sleep(_REVIVAL_PAUSE_S)

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """The loop alone would forget a task that nobody awaits."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
