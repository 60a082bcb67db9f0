"""Whose call runs next: a bounded queue in front of all calls, in which clients take turns."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

import anyio

from mcpbox.domain.errors import TooManyAttempts

MAX_RUNNING = 32
MAX_WAITING = 256
LONGEST_WAIT_S = 30.0


class Turn:
    """A place among those that run, for as long as the ``async with`` lasts."""

    __slots__ = ("_client", "_turns")

    def __init__(self, turns: "Turns", client: str) -> None:
        self._turns = turns
        self._client = client

    async def __aenter__(self) -> None:
        """Raises: TooManyAttempts: the queue is full, or no place came free in time."""
        await self._turns.begin(self._client)

    async def __aexit__(self, *_: object) -> None:
        self._turns.end(self._client)


class Turns:
    """No client can take all places, nor all of the queue, for itself.

    Whoever waits is given a place by whoever leaves, so nobody can slip in between.
    """

    def __init__(
        self,
        *,
        max_running: int = MAX_RUNNING,
        max_waiting: int = MAX_WAITING,
        longest_wait_s: float = LONGEST_WAIT_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """A quarter of the places, one at least where there are two, stays for other clients.

        So does half of the queue.
        """
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._client_running = max(1, max_running - max(1, max_running // 4))
        self._client_waiting = max_waiting - max_waiting // 2
        self._longest_wait_s = longest_wait_s
        self._running_of: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._clock = clock
        self.on_waited: Callable[[float], object] = _nothing
        """Told how long each call had to wait, in seconds."""
        self.running = 0
        self.waiting = 0
        self.refused = 0
        """Turned away, or tired of waiting, since the start."""

    def turn(self, client: str) -> Turn:
        return Turn(self, client)

    async def begin(self, client: str) -> None:
        """Raises: TooManyAttempts: the queue is full, or no place came free in time."""
        came_at = self._clock()
        if self._may_run(client):
            self._occupy(client)
        else:
            await self._wait(client)
        self.on_waited(self._clock() - came_at)

    def end(self, client: str) -> None:
        self.running -= 1
        self._running_of[client] -= 1
        if not self._running_of[client]:
            del self._running_of[client]
        self._admit()

    async def _wait(self, client: str) -> None:
        self._require_room(client)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(place)
        self.waiting += 1
        with anyio.move_on_after(self._longest_wait_s) as patience:
            try:
                await place
            except asyncio.CancelledError:
                if place.cancelled():
                    self._forget(client, place)
                else:  # it was given the place in the same moment
                    self.end(client)
                raise
        if patience.cancelled_caught:
            self.refused += 1
            raise TooManyAttempts(
                f"The gateway is busy: no place for this call came free in "
                f"{self._longest_wait_s:g} s. Nothing was run; try again later."
            )

    def _require_room(self, client: str) -> None:
        own = len(self._queues.get(client, ()))
        if self.waiting >= self._max_waiting:
            self.refused += 1
            raise TooManyAttempts(
                f"The gateway is busy: {self.running} calls run and {self.waiting} wait. Nothing "
                "was run; try again in some seconds."
            )
        if own >= self._client_waiting:
            self.refused += 1
            raise TooManyAttempts(
                f"One client cannot take all of the gateway: {self._running_of[client]} of your "
                f"calls run and {own} wait. Nothing was run; wait for an answer first."
            )

    def _may_run(self, client: str) -> bool:
        free = self.running < self._max_running
        return free and self._running_of[client] < self._client_running

    def _occupy(self, client: str) -> None:
        self.running += 1
        self._running_of[client] += 1

    def _admit(self) -> None:
        while self.running < self._max_running:
            client = next(filter(self._may_run, self._queues), None)
            if client is None:
                return
            place = self._queues[client].popleft()
            self._queues.move_to_end(client)  # so the others come first
            self._shortened(client)
            if not place.cancelled():  # or its task is about to see it
                self._occupy(client)
                place.set_result(None)

    def _forget(self, client: str, place: asyncio.Future[None]) -> None:
        queue = self._queues.get(client, ())
        if place in queue:
            self._queues[client].remove(place)
            self._shortened(client)

    def _shortened(self, client: str) -> None:
        self.waiting -= 1
        if not self._queues[client]:
            del self._queues[client]


def _nothing(_: float) -> None:
    pass
