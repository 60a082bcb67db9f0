"""Who may run now, who waits, and who is turned away; no server can take it all for itself."""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Any

from sandbox.contract import BusyLimit

MAY_BE_ENDING = 8
"""Processes, at least; else, as many as may run."""
_LONGEST_RETRY_S = 60
_WEIGHT_OF_NEWEST = 0.2
"""Of a job's duration, in the mean that says when to come back."""


class Busy(Exception):
    """As many jobs wait as may."""

    def __init__(self, limit: BusyLimit, message: str, retry_after_s: int) -> None:
        super().__init__(f"{message} Try again in {retry_after_s} s.")
        self.limit = limit
        self.retry_after_s = retry_after_s


class Turn:
    """A place among those that run, for as long as the ``async with`` lasts."""

    def __init__(self, admission: "Admission", server: str) -> None:
        self._admission = admission
        self._began_at = 0.0
        self.server = server
        self.process_gone: asyncio.Future[Any] | None = None
        """Set it where a process of its own serves the job: its memory is not free before."""

    async def __aenter__(self) -> "Turn":
        """Raises: Busy."""
        self._began_at = await self._admission.begin(self.server)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._admission.end(self, self._began_at)


class Admission:
    """A bounded queue in front of all children: servers take turns, their jobs in order.

    Whoever waits is given a place by whoever leaves, so nobody can slip in between.
    """

    def __init__(
        self,
        *,
        max_running: int = 8,
        max_waiting: int = 128,
        max_running_per_server: int | None = None,
        max_waiting_per_server: int | None = None,
        on_waited: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """By default a quarter of the places, one at least, and half of the queue stay for others.

        ``on_waited`` is told how long each job had to wait, in seconds.
        """
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._server_running = max_running_per_server or max(
            1, max_running - max(1, max_running // 4)
        )
        self._server_waiting = (
            max_waiting - max_waiting // 2
            if max_waiting_per_server is None
            else max_waiting_per_server
        )
        self._on_waited = on_waited
        self._clock = clock
        self._taken = 0
        self._taken_of: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._ending = 0
        self._mean_s = 0.0
        self.running = 0
        self.waiting = 0

    def turn(self, server: str = "") -> Turn:
        return Turn(self, server)

    async def begin(self, server: str) -> float:
        """When it was given a place. Raises: Busy."""
        came_at = began_at = self._clock()
        if self._may_run(server):
            self._occupy(server)
        else:
            await self._wait(server)
            began_at = self._clock()
        if self._on_waited is not None:
            self._on_waited(began_at - came_at)
        self.running += 1
        return began_at

    def end(self, turn: Turn, began_at: float) -> None:
        """At once, for a dead process frees its memory soon; but not when too many are dying."""
        self.running -= 1
        self._mean_s += _WEIGHT_OF_NEWEST * (self._clock() - began_at - self._mean_s)
        gone = turn.process_gone
        if gone is None or gone.done():
            self._vacate(turn.server)
        elif self._ending < max(MAY_BE_ENDING, self._max_running):
            self._ending += 1
            gone.add_done_callback(lambda _: self._ended())
            self._vacate(turn.server)
        else:
            gone.add_done_callback(lambda _: self._vacate(turn.server))

    async def _wait(self, server: str) -> None:
        self._require_room(server)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(server, deque()).append(place)
        self.waiting += 1
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._forget(server, place)
            else:  # it was given the place in the same moment
                self._vacate(server)
            raise

    def _require_room(self, server: str) -> None:
        own = len(self._queues.get(server, ()))
        if self.waiting >= self._max_waiting:
            raise Busy(
                BusyLimit.SANDBOX,
                f"The sandbox is busy: {self._taken} calls run and {self.waiting} wait.",
                self._retry_after_s(self.waiting, self._max_running),
            )
        if own >= self._server_waiting:
            raise Busy(
                BusyLimit.SERVER,
                "One server cannot take all of the sandbox: "
                f"{self._taken_of[server]} of its calls run and {own} wait.",
                self._retry_after_s(own, self._server_running),
            )

    def _retry_after_s(self, ahead: int, places: int) -> int:
        return min(_LONGEST_RETRY_S, max(1, math.ceil(self._mean_s * (ahead + 1) / places)))

    def _may_run(self, server: str) -> bool:
        free = self._taken < self._max_running
        return free and self._taken_of[server] < self._server_running

    def _occupy(self, server: str) -> None:
        self._taken += 1
        self._taken_of[server] += 1

    def _ended(self) -> None:
        self._ending -= 1

    def _vacate(self, server: str) -> None:
        self._taken -= 1
        self._taken_of[server] -= 1
        if not self._taken_of[server]:
            del self._taken_of[server]
        self._admit()

    def _admit(self) -> None:
        while self._taken < self._max_running:
            server = next(filter(self._may_run, self._queues), None)
            if server is None:
                return
            place = self._queues[server].popleft()
            self._queues.move_to_end(server)  # so the others come first
            self._shortened(server)
            if not place.cancelled():  # or its task is about to see it
                self._occupy(server)
                place.set_result(None)

    def _forget(self, server: str, place: asyncio.Future[None]) -> None:
        queue = self._queues.get(server, ())
        if place in queue:
            self._queues[server].remove(place)
            self._shortened(server)

    def _shortened(self, server: str) -> None:
        self.waiting -= 1
        if not self._queues[server]:
            del self._queues[server]
