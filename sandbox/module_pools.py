"""One fork server per server and set of modules: started on demand, stopped when idle."""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandbox.admission import Busy
from sandbox.child import ChildFailed
from sandbox.contract import BusyLimit
from sandbox.foreign import ForeignModules
from sandbox.launcher import NO_CGROUP, ModulesFailed, ZygoteFailed
from sandbox.lockdown.cgroups import Cgroup, NoCgroup
from sandbox.module_sets.store import ModuleSets
from sandbox.pool import Pool, Unavailable

_READY_CHILDREN = 1
_TASKS_OF_A_CALL = 12
"""Processes and threads; half of them are left to further calls."""
_USERS = 1000
_FAILURE_STANDS_S = 30.0
_RETRY_S = 5

log = logging.getLogger(__name__)


class _Place(NamedTuple):
    server: str
    module_set: str


@dataclass
class _Resident:
    starting: asyncio.Task[Pool]
    user_offset: int
    expected: int = 0
    """Callers that wait for it to start."""
    used_at: float = 0.0
    watch: asyncio.TimerHandle | None = None

    @property
    def pool(self) -> Pool | None:
        done = self.starting.done() and not self.starting.cancelled()
        return self.starting.result() if done and not self.starting.exception() else None

    @property
    def in_use(self) -> bool:
        return self.pool is None or self.pool.in_use > 0 or self.expected > 0


class ModulePools:
    def __init__(
        self,
        module_sets: ModuleSets,
        *,
        max_count: int = 8,
        max_running: int = 8,
        idle_s: float = 300.0,
        without: frozenset[str] = frozenset(),
        on_start: Callable[[bool], None] | None = None,
        cgroup: Cgroup | NoCgroup = NO_CGROUP,
    ) -> None:
        """``max_count``: of fork servers that are kept at once; the others as for a pool."""
        self._module_sets = module_sets
        self._max_count = max_count
        self._max_processes = _TASKS_OF_A_CALL * max_running + 16
        self._idle_s = idle_s
        self._on_start = on_start
        self._without = without
        self._cgroup = cgroup
        self._residents: OrderedDict[_Place, _Resident] = OrderedDict()
        """The one used longest ago comes first."""
        self._failures: dict[_Place, tuple[str, float]] = {}
        """What happened, and until when that is answered without another try."""
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        return len(self._residents)

    async def pool_for(self, server: str, module_set: str) -> Pool:
        """Use it without waiting for anything in between.

        Raises: UnknownModuleSet; ModulesFailed; Busy: all fork servers are in use.
        """
        place = _Place(server, module_set)
        self._require_no_failure(place)
        resident = self._residents.get(place) or self._start(place)
        self._residents.move_to_end(place)
        resident.expected += 1
        try:
            pool = await asyncio.shield(resident.starting)
        finally:
            resident.expected -= 1
        resident.used_at = asyncio.get_running_loop().time()
        return pool

    async def stop(self) -> None:
        for place in list(self._residents):
            self._end(place)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _require_no_failure(self, place: _Place) -> None:
        message, until = self._failures.get(place, ("", 0.0))
        if asyncio.get_running_loop().time() < until:
            raise ModulesFailed(message)
        self._failures.pop(place, None)

    def _start(self, place: _Place) -> _Resident:
        """Raises: Busy."""
        if len(self._residents) >= self._max_count:
            idle = next((p for p, one in self._residents.items() if not one.in_use), None)
            if idle is None:
                message = f"{self._max_count} servers with modules of their own are in use."
                raise Busy(BusyLimit.SANDBOX, message, _RETRY_S)
            self._end(idle)
        taken = {one.user_offset for one in self._residents.values()}
        offset = secrets.choice([n for n in range(1, _USERS) if n not in taken])
        starting = asyncio.get_running_loop().create_task(self._started(place, offset))
        resident = _Resident(starting, offset)
        self._residents[place] = resident
        starting.add_done_callback(lambda _: self._has_started(place, resident))
        return resident

    async def _started(self, place: _Place, user_offset: int) -> Pool:
        directory, names = await self._module_sets.require_unchanged(place.module_set)
        foreign = ForeignModules(str(directory), list(names), user_offset, self._max_processes)
        pool = Pool(
            size=_READY_CHILDREN,
            without=self._without,
            cgroup=self._cgroup,
            foreign=foreign,
            on_loss=lambda: self._lose(place, pool),
            on_start=self._on_start,
        )
        try:
            await pool.start()
        except ModulesFailed:
            await pool.stop()
            raise
        except (ZygoteFailed, ChildFailed, Unavailable, TimeoutError) as error:
            await pool.stop()
            raise ModulesFailed(
                f"This server's modules cannot be imported here: {error}"
            ) from error
        except asyncio.CancelledError:
            await pool.stop()
            raise
        return pool

    def _has_started(self, place: _Place, resident: _Resident) -> None:
        if resident.starting.cancelled():
            return
        loop = asyncio.get_running_loop()
        error = resident.starting.exception()
        if error is None:
            resident.used_at = loop.time()
            resident.watch = loop.call_later(self._idle_s, self._look, place, resident)
            return
        if self._residents.get(place) is resident:
            del self._residents[place]
        if isinstance(error, ModulesFailed):
            log.warning("the modules of server %r cannot be used: %s", place.server, error)
            self._failures[place] = (str(error), loop.time() + _FAILURE_STANDS_S)

    def _look(self, place: _Place, resident: _Resident) -> None:
        """Whether it was idle all the time since it was last looked at."""
        loop = asyncio.get_running_loop()
        left_s = self._idle_s - (loop.time() - resident.used_at)
        if resident.in_use or left_s > 0:
            wait_s = self._idle_s if resident.in_use else left_s
            resident.watch = loop.call_later(wait_s, self._look, place, resident)
        elif self._residents.get(place) is resident:
            self._end(place)

    def _lose(self, place: _Place, pool: Pool) -> None:
        resident = self._residents.get(place)
        if resident is not None and resident.pool is pool:
            log.error("A fork server with modules of server %r died.", place.server)
            self._end(place)

    def _end(self, place: _Place) -> None:
        resident = self._residents.pop(place)
        if resident.watch is not None:
            resident.watch.cancel()
        self._keep(self._stopped(resident))

    async def _stopped(self, resident: _Resident) -> None:
        if resident.pool is None:
            resident.starting.cancel()
            await asyncio.gather(resident.starting, return_exceptions=True)
        else:
            await resident.pool.stop()

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """The loop alone would forget a task that nobody awaits."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
