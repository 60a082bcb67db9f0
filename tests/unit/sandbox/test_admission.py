"""Who runs, who waits and who is turned away, whatever order things happen in."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.admission import MAY_BE_ENDING, Admission, Busy
from sandbox.contract import BusyLimit


class Job:
    """Takes a turn, keeps it until told to leave."""

    def __init__(self, admission: Admission, server: str) -> None:
        self.server = server
        self.running = False
        self.leave = asyncio.Event()
        self.gone: asyncio.Future[None] | None = None
        self.task = asyncio.ensure_future(self._run(admission))

    async def _run(self, admission: Admission) -> None:
        async with admission.turn(self.server) as turn:
            turn.process_gone = self.gone
            self.running = True
            try:
                await self.leave.wait()
            finally:
                self.running = False


class Hall:
    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.jobs: list[Job] = []

    def come(self, server: str, count: int = 1) -> list[Job]:
        come = [Job(self.admission, server) for _ in range(count)]
        self.jobs += come
        return come

    def running(self, server: str | None = None) -> list[Job]:
        return [job for job in self.jobs if job.running and server in (None, job.server)]

    def waiting(self) -> list[Job]:
        return [job for job in self.jobs if not job.running and not job.task.done()]

    async def close(self) -> None:
        for job in self.jobs:
            job.task.cancel()
        await asyncio.gather(*(job.task for job in self.jobs), return_exceptions=True)


async def settle(rounds: int = 10) -> None:
    """Until nothing more happens by itself: a turn passes on in a few rounds of the loop."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def test_one_server_leaves_places_for_the_others() -> None:
    hall = Hall(Admission(max_running=8))
    hall.come("greedy", 60)
    await settle()
    [other] = hall.come("other")
    await settle()

    assert len(hall.running("greedy")) == 6
    assert other.running
    await hall.close()


async def test_a_single_call_does_not_wait_behind_the_queue_of_another_server() -> None:
    hall = Hall(Admission(max_running=4, max_running_per_server=4))
    first = hall.come("greedy", 60)
    await settle()
    [other] = hall.come("other")
    await settle()
    assert not other.running

    for job in first[:2]:
        job.leave.set()
    await settle()

    assert other.running
    await hall.close()


async def test_servers_that_wait_take_turns() -> None:
    hall = Hall(Admission(max_running=1))
    [first] = hall.come("a")
    await settle()
    waiting = [*hall.come("a", 3), *hall.come("b", 3), *hall.come("c", 3)]
    await settle()
    order: list[str] = []
    now = first
    for _ in waiting:
        now.leave.set()
        await settle()
        [now] = hall.running()
        order.append(now.server)

    assert order == list("abcabcabc")
    await hall.close()


@pytest.mark.parametrize(
    ("in_all", "per_server", "limit"),
    [(2, 5, BusyLimit.SANDBOX), (5, 2, BusyLimit.SERVER)],
)
async def test_who_is_turned_away_learns_which_limit_it_was(
    in_all: int, per_server: int, limit: BusyLimit
) -> None:
    hall = Hall(Admission(max_running=1, max_waiting=in_all, max_waiting_per_server=per_server))
    hall.come("a", 3)
    await settle()

    with pytest.raises(Busy, match="Try again in 1 s") as refusal:
        async with hall.admission.turn("a"):
            pass

    assert refusal.value.limit == limit
    await hall.close()


async def test_when_to_come_back_follows_how_long_jobs_take() -> None:
    now = 0.0
    admission = Admission(max_running=1, max_waiting=0, clock=lambda: now)
    for _ in range(60):
        async with admission.turn():
            now += 10.0
    async with admission.turn():
        with pytest.raises(Busy) as refusal:
            async with admission.turn():
                pass

    assert refusal.value.retry_after_s == 10


async def test_a_place_is_free_before_its_process_is_gone_but_not_for_ever() -> None:
    """Only so many processes may be dying: then a place waits for the memory behind it."""
    hall = Hall(Admission(max_running=1))
    gone = [asyncio.get_running_loop().create_future() for _ in range(MAY_BE_ENDING + 1)]
    for process_gone in gone:
        [job] = hall.come("a")
        job.gone = process_gone
        await settle()
        assert job.running
        job.leave.set()
        await settle()
    [last] = hall.come("a")
    await settle()
    assert not last.running

    gone[-1].set_result(None)
    await settle()

    assert last.running
    await hall.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from("abc")),
        st.tuples(st.sampled_from(["leave", "cancel", "leave and cancel"]), st.integers(0, 30)),
        st.tuples(st.just("rounds"), st.integers(1, 4)),
    ),
    max_size=60,
)
MAX_RUNNING, PER_SERVER, MAX_WAITING, WAITING_PER_SERVER = 3, 2, 4, 3


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_no_place_is_lost_or_given_twice_whatever_happens(steps: list[tuple[str, object]]) -> None:
    """Least of all when a waiter is cancelled in the moment in which it is given its place."""
    asyncio.run(_walk(steps))


async def _walk(steps: list[tuple[str, object]]) -> None:
    admission = Admission(
        max_running=MAX_RUNNING,
        max_running_per_server=PER_SERVER,
        max_waiting=MAX_WAITING,
        max_waiting_per_server=WAITING_PER_SERVER,
    )
    hall = Hall(admission)
    for kind, what in steps:
        if kind == "rounds":
            await settle(int(str(what)))
        elif kind == "come":
            hall.come(str(what))
        elif hall.jobs:
            await _disturb(hall, kind, int(str(what)))
        _check_bounds(hall)
    await settle()
    _check_settled(hall)
    await hall.close()
    assert (hall.admission.running, hall.admission.waiting) == (0, 0)
    async with asyncio.timeout(5), hall.admission.turn("a"), hall.admission.turn("a"):
        pass


async def _disturb(hall: Hall, kind: str, index: int) -> None:
    job = hall.jobs[index % len(hall.jobs)]
    if "leave" in kind:
        running = hall.running() or [job]
        running[index % len(running)].leave.set()
    if "and" in kind:
        await settle(1)  # now a place is given, and whoever gets it does not know yet
        job = (hall.waiting() or [job])[0]
    if "cancel" in kind:
        job.task.cancel()


def _check_bounds(hall: Hall) -> None:
    assert len(hall.running()) <= hall.admission.running <= MAX_RUNNING
    assert all(len(hall.running(server)) <= PER_SERVER for server in "abc")
    assert 0 <= hall.admission.waiting <= MAX_WAITING


def _check_settled(hall: Hall) -> None:
    """Nobody waits who could run."""
    waiting = hall.waiting()
    assert len(hall.running()) == hall.admission.running
    assert len(waiting) == hall.admission.waiting
    if hall.admission.running < MAX_RUNNING:
        assert all(len(hall.running(job.server)) == PER_SERVER for job in waiting)
