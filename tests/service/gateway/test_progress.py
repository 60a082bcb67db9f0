"""A client that asks for progress is told what the tool prints, in both eras."""

import asyncio

import pytest
from mcp import Client

from tests.service.gateway.factories import a_callable, soon
from tests.service.gateway.raw import call_of
from tests.service.gateway.running import RunningGateway
from tests.service.gateway.world import World

PRINTED = ("half\n", "all\nof it\n")


class Told:
    def __init__(self) -> None:
        self.progress: list[tuple[float, str | None]] = []
        self.anything = asyncio.Event()

    async def hear(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        self.progress.append((progress, message))
        self.anything.set()


@pytest.fixture
def told() -> Told:
    return Told()


async def drafted(client: Client) -> str:
    """Id of a tool that nobody approved."""
    server = await client.call_tool("mcpbox_create_server", {"name": "calc"})
    tool = await client.call_tool(
        "mcpbox_create_tool",
        {
            "server_id": server.structured_content["id"],
            "name": "inc",
            "code": "async def main(a: int) -> int:\n    return a + 1\n",
        },
    )
    return tool.structured_content["id"]


async def test_output_of_a_released_tool_comes_while_it_runs(
    gateway: RunningGateway, world: World, era: str, told: Told
) -> None:
    world.release(a_callable())
    world.sandbox.prints = PRINTED
    world.sandbox.may_end = asyncio.Event()
    async with gateway.client(era) as client, asyncio.TaskGroup() as beside:
        await gateway.caught_up()
        calling = beside.create_task(
            client.call_tool("calc__add", {"a": 1}, progress_callback=told.hear)
        )
        await soon(told.anything.wait())
        assert not calling.done()
        world.sandbox.may_end.set()
        result = await soon(calling)

    assert result.structured_content == {"sum": 3}
    assert told.progress == [(5, "half"), (15, "all\nof it")]


async def test_output_of_code_that_is_tried_comes_too(
    gateway: RunningGateway, world: World, era: str, told: Told
) -> None:
    world.sandbox.prints = PRINTED
    async with gateway.client(era) as client:
        tool_id = await drafted(client)
        result = await client.call_tool(
            "mcpbox_test_code",
            {"tool_id": tool_id, "arguments": {"a": 1}},
            progress_callback=told.hear,
        )

    assert result.structured_content["result"] == 2
    assert [message for _, message in told.progress] == ["half", "all\nof it"]


async def test_who_does_not_ask_costs_no_stream(gateway: RunningGateway, world: World) -> None:
    world.release(a_callable())
    async with gateway.client("legacy") as client:
        await gateway.caught_up()
        await client.call_tool("calc__add", {"a": 1})

    assert world.sandbox.followed == [False]


async def test_a_client_that_disconnects_ends_a_trial(
    gateway: RunningGateway, world: World, era: str
) -> None:
    async with gateway.client(era) as client:
        tool_id = await drafted(client)
    world.sandbox.may_end = asyncio.Event()
    async with gateway.http() as http:
        headers, call = await call_of(
            http, era, "mcpbox_test_code", {"tool_id": tool_id, "arguments": {"a": 1}}
        )
        calling = asyncio.create_task(http.post("/mcp", json=call, headers=headers))
        await soon(world.sandbox.started.wait())
        calling.cancel()

        await soon(world.sandbox.cancelled.wait())
