"""Children that stay for the calls of one bundle, one after the other; see ``isolation: release``.

A resident is a child like any other, locked down before it saw any code. What it never sees is
another bundle. It goes as soon as there is doubt whether the next call would find it fit.
"""

import asyncio
import math
import os
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from sandbox.child import Child, cpu_clock_of
from sandbox.frames import Frame
from sandbox.pool import Pool

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROCESSORS = os.cpu_count() or 1
_CPU_SLACK_S = 2.0
"""Beyond its limit: the kernel's own signal comes first, to whoever does not refuse it."""
_SHORTEST_WATCH_S = 0.1
_INSPECTION_S = 1.0
_IDLE_CPU_S = 0.05
_END_DELAY_S = 0.002
"""An answer that is on its way goes first."""


@dataclass(frozen=True)
class Terms:
    """How long a resident may stay."""

    calls: int = 1000
    age_s: float = 600.0
    idle_s: float = 60.0
    growth_bytes: int = 64 * 2**20
    """Of its resident memory, since its first call."""


class Place(NamedTuple):
    """Who may share a resident, one after the other; limits of memory cannot be raised again."""

    owner: str
    """Of the bundle: released code and a trial of the same have not the same one."""
    memory_bytes: int
    guarded: bool
    environment: frozenset[tuple[str, str]] | None = None
    """What a server that speaks over stdio was told once; ``None`` for a tool."""


class Resident:
    def __init__(self, child: Child) -> None:
        self.child = child
        self._born_at = self._rested_at = self._now()
        self._watch: asyncio.TimerHandle | None = None
        self._first_memory_bytes: int | None = None
        self.cpu_before_s = 0.0
        self.calls = 0
        self.fit = False
        """For another call; whoever serves one says so when it went well."""
        pid = child.process_id
        self._clock = None if pid is None else cpu_clock_of(pid)
        self._statm: int | None = None
        if pid is not None:
            with suppress(OSError):
                self._statm = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def watched(self) -> bool:
        """If not, the kernel's limits must do, which count for one call: it serves no other."""
        return self._statm is not None and self._clock is not None

    @property
    def knows_code(self) -> bool:
        return self.calls > 0

    def begin(self, cpu_s: int) -> None:
        """One call, of so much CPU time: code that lifts its own soft limit is killed here."""
        self.fit = False
        if self.watched:
            self.cpu_before_s = self._cpu_s()
            self._watch_cpu(cpu_s + _CPU_SLACK_S, cpu_s + _CPU_SLACK_S)

    def end(self) -> None:
        self.calls += 1
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def rest(self) -> None:
        self.child.take_turn()
        self._rested_at = self._now()
        self.cpu_before_s = self._cpu_s()

    def rests_well(self, terms: Terms) -> bool:
        """It does nothing, and not for too long."""
        idles = self._cpu_s() - self.cpu_before_s < _IDLE_CPU_S
        return idles and self._now() - self._rested_at < terms.idle_s

    def may_stay(self, terms: Terms) -> bool:
        return (
            self.fit
            and self.watched
            and self.child.usable
            and self.calls < terms.calls
            and self._now() - self._born_at < terms.age_s
            and self._growth_bytes() <= terms.growth_bytes
        )

    def close(self) -> None:
        if self._statm is not None:
            os.close(self._statm)
            self._statm = None
        self.child.close()

    def _watch_cpu(self, allowed_s: float, in_s: float) -> None:
        """Its threads use no more than all processors have: earlier there is nothing to see."""
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(in_s / _PROCESSORS, self._check_cpu, allowed_s)

    def _check_cpu(self, allowed_s: float) -> None:
        left_s = allowed_s - (self._cpu_s() - self.cpu_before_s)
        if left_s <= 0:
            self.child.kill()
        else:
            self._watch_cpu(allowed_s, max(left_s, _SHORTEST_WATCH_S))

    def _cpu_s(self) -> float:
        try:
            return time.clock_gettime(self._clock or 0)
        except OSError:  # it is gone
            return math.inf

    def _growth_bytes(self) -> float:
        try:
            now_bytes = int(os.pread(self._statm or -1, 200, 0).split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            return math.inf
        if self._first_memory_bytes is None:
            self._first_memory_bytes = now_bytes
        return now_bytes - self._first_memory_bytes

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class Residents:
    """Several of one place serve calls that overlap; those that wait are bounded in number."""

    def __init__(self, *, max_idle: int = 8, terms: Terms = Terms()) -> None:
        self._max_idle = max_idle
        self._terms = terms
        self._idle: OrderedDict[Resident, tuple[Place, asyncio.TimerHandle]] = OrderedDict()
        """The one used longest ago comes first."""
        self._closed = False

    @property
    def idle(self) -> int:
        return len(self._idle)

    @asynccontextmanager
    async def resident(self, pool: Pool, place: Place, cpu_s: int) -> AsyncGenerator[Resident]:
        """For one call of so much CPU time. Raises: Unavailable."""
        resident = self._take(place) or self._settled(
            await pool.lend(speaks=place.environment is not None)
        )
        pool.in_use += 1
        try:
            resident.begin(cpu_s)
            yield resident
        finally:
            pool.in_use -= 1
            resident.end()
            if resident.may_stay(self._terms) and not self._closed:
                self._rest(resident, place)
            else:
                resident.child.listen(None)
                resident.child.kill()
                asyncio.get_running_loop().call_later(_END_DELAY_S, resident.close)

    def close(self) -> None:
        """At the end of all."""
        self._closed = True
        for resident in list(self._idle):
            self._dismiss(resident)

    def _settled(self, child: Child) -> Resident:
        resident = Resident(child)
        child.hung_up.add_done_callback(lambda _: self._dismiss(resident))
        return resident

    def _take(self, place: Place) -> Resident | None:
        """The one used last: its memory is the warmest, and the others may go."""
        for resident, (of, timer) in reversed(self._idle.items()):
            if of == place and resident.child.usable and resident.rests_well(self._terms):
                timer.cancel()
                del self._idle[resident]
                return resident
        return None

    def _rest(self, resident: Resident, place: Place) -> None:
        def refuse(_: Frame) -> None:
            resident.child.kill()  # nobody asked it anything

        resident.child.listen(refuse)
        resident.rest()
        self._idle[resident] = (place, self._inspected_later(resident))
        while len(self._idle) > self._max_idle:
            self._dismiss(next(iter(self._idle)))

    def _inspect(self, resident: Resident) -> None:
        if resident.rests_well(self._terms):
            place, _ = self._idle[resident]
            self._idle[resident] = (place, self._inspected_later(resident))
        else:
            self._dismiss(resident)

    def _inspected_later(self, resident: Resident) -> asyncio.TimerHandle:
        delay_s = min(_INSPECTION_S, self._terms.idle_s)
        return asyncio.get_running_loop().call_later(delay_s, self._inspect, resident)

    def _dismiss(self, resident: Resident) -> None:
        known = self._idle.pop(resident, None)
        if known is not None:
            known[1].cancel()
            resident.close()
