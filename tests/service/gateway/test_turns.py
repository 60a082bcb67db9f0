"""Calls of many clients at one gateway: one that is greedy holds up no other."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from mcp_types import CallToolResult

from gateway.app import Gateway
from gateway.turns import Turns
from mcpbox.domain.servers import DesiredState
from tests.reviewing import eventually
from tests.service.gateway.factories import a_callable, a_version, soon
from tests.service.gateway.running import RunningGateway, running, text_of
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World

OTHER_TOKEN = "mcpbox_other_token"
ERA = "2026-07-28"


@pytest.fixture
async def narrow(world: World) -> AsyncGenerator[RunningGateway]:
    """Two calls at once, two more that wait; runs end when ``world.sandbox.may_end`` is set."""
    world.turns = Turns(max_running=2, max_waiting=4)
    world.add_client(OTHER_TOKEN, name="desktop")
    world.sandbox.may_end = asyncio.Event()
    async with running(Gateway(parts_of(world))) as gateway:
        world.release(a_callable(a_version()))
        await gateway.caught_up()
        yield gateway


async def until(world: World, *, running: int, waiting: int) -> None:
    async def reached() -> bool:
        return (world.turns.running, world.turns.waiting) == (running, waiting)

    await eventually(reached)


async def test_a_call_of_another_client_begins_while_the_greedy_one_waits(
    narrow: RunningGateway, world: World
) -> None:
    async with narrow.client(ERA) as greedy, narrow.client(ERA, OTHER_TOKEN) as other:
        calls = [asyncio.create_task(greedy.call_tool("calc__add", {"a": n})) for n in range(4)]
        await until(world, running=1, waiting=2)
        calls.append(asyncio.create_task(other.call_tool("calc__add", {"a": 100})))
        await until(world, running=2, waiting=2)

        assert [arguments["a"] for _, arguments in world.sandbox.runs][1] == 100
        assert world.sandbox.may_end is not None
        world.sandbox.may_end.set()
        results: list[CallToolResult] = await soon(asyncio.gather(*calls))

    assert [result.is_error for result in results].count(True) == 1
    [refused] = [text_of(result) for result in results if result.is_error]
    assert "One client cannot take all of the gateway: 1 of your calls run and 2 wait" in refused
    assert (world.turns.running, world.turns.waiting) == (0, 0)


async def test_whoever_hangs_up_while_waiting_leaves_the_queue(
    narrow: RunningGateway, world: World
) -> None:
    async with narrow.client(ERA) as client:
        first = asyncio.create_task(client.call_tool("calc__add", {"a": 1}))
        await until(world, running=1, waiting=0)
        second = asyncio.create_task(client.call_tool("calc__add", {"a": 2}))
        await until(world, running=1, waiting=1)
        second.cancel()
        await until(world, running=1, waiting=0)
        assert world.sandbox.may_end is not None
        world.sandbox.may_end.set()
        await soon(first)

    assert len(world.sandbox.runs) == 1


async def test_i9_a_call_that_waits_ends_when_its_server_is_stopped(
    narrow: RunningGateway, world: World
) -> None:
    async with narrow.client(ERA) as client:
        calls = [asyncio.create_task(client.call_tool("calc__add", {"a": n})) for n in range(2)]
        await until(world, running=1, waiting=1)
        world.narrow("calc__add", server_state=DesiredState.STOPPED)
        results: list[CallToolResult] = await soon(asyncio.gather(*calls))

    assert ["The run was stopped." in text_of(result) for result in results] == [True, True]
    assert len(world.sandbox.runs) == 1


async def test_a_call_that_waited_does_not_run_when_nobody_could_stop_it_any_more(
    narrow: RunningGateway, world: World
) -> None:
    async with narrow.client(ERA) as client:
        calls = [asyncio.create_task(client.call_tool("calc__add", {"a": n})) for n in range(2)]
        await until(world, running=1, waiting=1)
        assert world.changes is not None
        world.changes.lose(for_s=60)
        assert world.sandbox.may_end is not None
        world.sandbox.may_end.set()
        results: list[CallToolResult] = await soon(asyncio.gather(*calls))

    assert [result.is_error for result in results] == [False, True]
    assert "Postgres is not reachable" in text_of(results[1])
    assert len(world.sandbox.runs) == 1
