"""Who runs, who waits and who is turned away among the clients of a gateway."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.turns import Turns
from mcpbox.domain.errors import TooManyAttempts


class Call:
    """Takes a turn, and keeps it until told to leave."""

    def __init__(self, turns: Turns, client: str) -> None:
        self.client = client
        self.running = False
        self.leave = asyncio.Event()
        self.task = asyncio.ensure_future(self._run(turns))

    async def _run(self, turns: Turns) -> None:
        async with turns.turn(self.client):
            self.running = True
            try:
                await self.leave.wait()
            finally:
                self.running = False


class Hall:
    def __init__(self) -> None:
        self.calls: list[Call] = []

    def come(self, turns: Turns, client: str, count: int = 1) -> list[Call]:
        come = [Call(turns, client) for _ in range(count)]
        self.calls += come
        return come

    def running(self, client: str) -> list[Call]:
        return [call for call in self.calls if call.running and call.client == client]


@pytest.fixture
async def hall() -> AsyncGenerator[Hall]:
    hall = Hall()
    yield hall
    for call in hall.calls:
        call.task.cancel()
    await asyncio.gather(*(call.task for call in hall.calls), return_exceptions=True)


async def settle() -> None:
    """Until nothing more happens by itself: a turn passes on in a few rounds of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_client_leaves_places_for_the_others(hall: Hall) -> None:
    turns = Turns(max_running=8)
    hall.come(turns, "greedy", 60)
    await settle()
    [other] = hall.come(turns, "other")
    await settle()

    assert len(hall.running("greedy")) == 6
    assert other.running


async def test_whoever_waits_is_served_in_turn_and_not_behind_the_queue_of_another(
    hall: Hall,
) -> None:
    turns = Turns(max_running=4)
    greedy = hall.come(turns, "greedy", 60)
    await settle()
    others = [*hall.come(turns, "bo", 2), *hall.come(turns, "cy", 2)]
    await settle()
    assert [call.running for call in others] == [True, False, False, False]

    order: list[str] = []
    for _ in range(5):  # the greedy one has its turn too, as the first and the fourth
        before = [call for call in others if call.running]
        hall.running("greedy")[0].leave.set()
        await settle()
        order += [call.client for call in others if call.running and call not in before]
    assert order == ["bo", "cy", "cy"]
    assert len([call for call in greedy if call.running or call.leave.is_set()]) == 3 + 2


async def test_a_full_queue_turns_away_at_once_and_says_what_is_the_matter(hall: Hall) -> None:
    turns = Turns(max_running=4, max_waiting=4)
    hall.come(turns, "greedy", 3 + 2)
    await settle()
    with pytest.raises(TooManyAttempts, match="3 of your calls run and 2 wait"):
        async with turns.turn("greedy"):
            pass
    hall.come(turns, "other", 1 + 2)
    await settle()
    with pytest.raises(TooManyAttempts, match="4 calls run and 4 wait"):
        async with turns.turn("third"):
            pass

    assert turns.refused == 2


async def test_whoever_waits_too_long_is_told_so_and_leaves_the_queue(hall: Hall) -> None:
    turns = Turns(max_running=1, longest_wait_s=0.01)
    [holder] = hall.come(turns, "ana")
    await settle()
    with pytest.raises(TooManyAttempts, match=r"no place for this call came free in 0\.01 s"):
        async with turns.turn("bo"):
            pass

    assert turns.waiting == 0
    holder.leave.set()
    await holder.task
    async with turns.turn("bo"):
        assert turns.running == 1


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["come", "leave", "hang up"]), st.integers(0, 3)), max_size=40
    )
)
async def test_whatever_happens_no_place_is_lost_and_none_is_given_twice(
    steps: list[tuple[str, int]],
) -> None:
    turns, hall = Turns(max_running=3, max_waiting=100), Hall()
    for step, number in steps:
        if step == "come":
            hall.come(turns, f"client{number}")
        elif hall.calls and step == "leave":
            hall.calls[number % len(hall.calls)].leave.set()
        elif hall.calls:
            hall.calls[-1 - number % len(hall.calls)].task.cancel()
        if number % 2:
            await settle()
        assert turns.running <= 3
    await settle()
    assert turns.running == sum(call.running for call in hall.calls)
    for call in hall.calls:
        call.leave.set()
    await asyncio.gather(*(call.task for call in hall.calls), return_exceptions=True)

    assert (turns.running, turns.waiting) == (0, 0)
