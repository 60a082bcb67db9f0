"""What the addresses of the gateway show: everything, one server, or a search."""

import json
from typing import Any

import pytest
from mcp import MCPError

from mcpbox.domain.people import Scope
from mcpbox.domain.servers import DesiredState
from mcpbox.store.changes import Topic
from tests.service.gateway.factories import a_callable, a_version
from tests.service.gateway.running import RunningGateway
from tests.service.gateway.world import World

SEARCHING = {"mcpbox_call_tool", "mcpbox_describe_tool", "mcpbox_search_tools"}
CALLS = "calls_only"


@pytest.fixture(autouse=True)
async def released(gateway: RunningGateway, world: World) -> None:
    world.add_client(CALLS, Scope.CALL, name="caller")
    world.release(
        a_callable(a_version(description="Adds two numbers."), server="calc"),
        a_callable(a_version(name="rate", description="Converts a currency."), server="money"),
        a_callable(
            a_version(name="old", description="Converts nothing."),
            server="money",
            server_state=DesiredState.STOPPED,
        ),
    )
    await gateway.caught_up()


async def names_at(gateway: RunningGateway, era: str, path: str, token: str = CALLS) -> set[str]:
    async with gateway.client(era, token, path=path) as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def test_one_server_s_address_shows_its_tools_and_nothing_else(
    gateway: RunningGateway, era: str
) -> None:
    assert await names_at(gateway, era, "/s/calc/mcp") == {"calc__add"}
    assert await names_at(gateway, era, "/s/nowhere/mcp") == set()
    assert {"calc__add", "money__rate", "mcpbox_search_tools"} <= await names_at(
        gateway, era, "/mcp"
    )


async def test_what_an_address_does_not_show_cannot_be_called_there(
    gateway: RunningGateway, world: World, era: str
) -> None:
    async with gateway.client(era, path="/s/calc/mcp") as client:
        for hidden in ("money__rate", "mcpbox_list_servers", "mcpbox_call_tool"):
            with pytest.raises(MCPError, match="There is no tool"):
                await client.call_tool(hidden, {"a": 1})
        assert not (await client.call_tool("calc__add", {"a": 1})).is_error

    assert len(world.sandbox.runs) == 1


async def test_a_session_of_one_server_shows_no_more_at_its_own_address_than_at_another(
    gateway: RunningGateway, world: World
) -> None:
    """A handshake-era session id is good at every address: each request is judged by its own."""
    async with gateway.http() as http:
        begun = await http.post("/s/calc/mcp", json=_initialize(), headers=_ACCEPT)
        session = {**_ACCEPT, "mcp-session-id": begun.headers["mcp-session-id"]}
        await http.post("/s/calc/mcp", json=_INITIALIZED, headers=session)
        at_other = await http.post("/s/money/mcp", json=_LIST, headers=session)

    assert "money__rate" in at_other.text
    assert "calc__add" not in at_other.text


async def test_a_search_finds_describes_and_calls_what_can_be_called_now(
    gateway: RunningGateway, era: str
) -> None:
    async with gateway.client(era, CALLS, path="/search/mcp") as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        found = await client.call_tool("mcpbox_search_tools", {"query": "adds numbers converts"})
        described = await client.call_tool("mcpbox_describe_tool", {"name": "calc__add"})
        called = await client.call_tool(
            "mcpbox_call_tool", {"name": "calc__add", "arguments": {"a": 1}}
        )

    assert listed == SEARCHING
    assert [tool["name"] for tool in _told(found)["tools"]] == ["calc__add", "money__rate"]
    assert "a" in _told(described)["input_schema"]["properties"]
    assert _told(called) == {"sum": 3}


async def test_a_search_opens_nothing_that_is_closed(
    gateway: RunningGateway, world: World, era: str
) -> None:
    world.add_client("author_only", Scope.AUTHOR, name="author")
    async with gateway.client(era, path="/search/mcp") as client:
        stopped = await client.call_tool("mcpbox_call_tool", {"name": "money__old"})
        hidden = await client.call_tool("mcpbox_describe_tool", {"name": "money__old"})
        unknown = await client.call_tool("mcpbox_call_tool", {"name": "mcpbox_call_tool"})
        wrong = await client.call_tool(
            "mcpbox_call_tool", {"name": "calc__add", "arguments": {"a": "x"}}
        )
        with pytest.raises(MCPError, match="There is no tool"):
            await client.call_tool("calc__add", {"a": 1})
    async with gateway.client(era, "author_only", path="/search/mcp") as client:
        refused = await client.call_tool("mcpbox_search_tools", {"query": "adds"})
        no_call = await client.call_tool("mcpbox_call_tool", {"name": "calc__add"})

    for answer in (stopped, hidden):
        assert "'money' is stopped" in json.dumps(_told(answer))
    assert "There is no tool 'mcpbox_call_tool'" in json.dumps(_told(unknown))
    assert "'x' is not of type 'integer'" in json.dumps(_told(wrong))
    for answer in (refused, no_call):
        assert "lacks the scope 'call'" in json.dumps(_told(answer))
    assert world.sandbox.runs == []


async def test_describing_and_calling_by_name_are_for_the_search_alone(
    gateway: RunningGateway, era: str
) -> None:
    async with gateway.client(era) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="There is no tool"):
            await client.call_tool("mcpbox_call_tool", {"name": "calc__add"})

    assert listed & SEARCHING == {"mcpbox_search_tools"}


def _told(answer: Any) -> dict[str, Any]:
    assert answer.structured_content is not None
    return answer.structured_content


_ACCEPT = {"accept": "application/json, text/event-stream"}
_INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
_LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


def _initialize() -> dict[str, Any]:
    told = {"name": "raw", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": told}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


async def test_a_client_for_one_server_sees_finds_and_calls_its_tools_alone(
    gateway: RunningGateway, world: World, era: str
) -> None:
    world.clients[CALLS] = world.clients[CALLS].model_copy(update={"servers": frozenset({"calc"})})
    world.announce(Topic.CLIENTS)

    assert await names_at(gateway, era, "/mcp") == {"calc__add", "mcpbox_search_tools"}
    assert await names_at(gateway, era, "/s/money/mcp") == set()
    async with gateway.client(era, CALLS) as client:
        refused = await client.call_tool("money__rate", {"a": 1})
        assert not (await client.call_tool("calc__add", {"a": 1})).is_error
    async with gateway.client(era, CALLS, path="/search/mcp") as client:
        through = await client.call_tool(
            "mcpbox_call_tool", {"name": "money__rate", "arguments": {"a": 1}}
        )

    assert (refused.is_error, through.is_error) == (True, True)
    assert "for tools of calc alone" in refused.content[0].model_dump()["text"]
    assert len(world.sandbox.runs) == 1
