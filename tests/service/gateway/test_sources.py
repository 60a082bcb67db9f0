"""How an LLM is led through adding another MCP server, over the protocol server in both eras."""

from typing import Any

import pytest

from mcpbox.domain.external_sources import ListedTool
from mcpbox.domain.people import Scope
from tests.service.gateway.running import Connect
from tests.service.gateway.test_management_tools import call, error_of
from tests.service.gateway.world import World

EMPTY: dict[str, Any] = {"type": "object", "properties": {}}
HTTP: dict[str, Any] = {"name": "weather", "url": "https://mcp.example.com:8443/v1/mcp"}


async def test_an_llm_is_led_from_adding_a_source_to_asking_for_its_tools(
    connect: Connect, world: World
) -> None:
    world.offered = (
        ListedTool(name="get-forecast", description="Forecasts.", input_schema=EMPTY),
        ListedTool(name="broken", description="Odd.", input_schema={"type": "string"}),
    )
    async with connect() as client:
        given = HTTP | {"auth_type": "bearer", "auth_secret_name": "WEATHER_TOKEN"}
        added = await call(client, "mcpbox_add_external_source", **given)
        source_id = added["source"]["id"]
        early = await client.call_tool(
            "mcpbox_import_external_tools", {"source_id": source_id, "tool_names": ["x"]}
        )
        blocked = await call(client, "mcpbox_discover_external_tools", source_id=source_id)
        [source] = world.sources.values()
        world.sources[source.id] = source.model_copy(update={"blocked": ""})
        offered = await call(client, "mcpbox_discover_external_tools", source_id=source_id)
        asked = await call(
            client,
            "mcpbox_import_external_tools",
            source_id=source_id,
            tool_names=["get_forecast", "nothing"],
        )
        listed = await call(client, "mcpbox_list_external_sources")
        server = await call(client, "mcpbox_get_server", server_id=added["source"]["server_id"])

    host, place, binding, value, look, wish = added["steps"]
    assert (
        "host mcp.example.com, port 8443, methods DELETE, GET, POST and path_prefix /v1/mcp" in host
    )
    assert "name WEATHER_TOKEN and hosts [mcp.example.com:8443]" in place
    assert "mcpbox_request_secret" in binding
    assert "never ask for it yourself" in value
    assert source_id in look
    assert "mcpbox_import_external_tools" in wish
    assert error_of(early)["code"] == "conflict"
    assert blocked["next"] == blocked["blocked"] == "Its host is not granted to the server."
    tools = {tool["source_name"]: tool for tool in offered["tools"]}
    assert tools["get-forecast"]["callable_name"] == "weather__get_forecast"
    assert (tools["get-forecast"]["offer"], tools["broken"]["offer"]) == ("new", "unusable")
    assert "mcpbox_import_external_tools" in offered["next"]
    [wanted, unknown] = asked["tools"]
    assert wanted["review_url"].endswith(f"/approvals?id={wanted['request_id']}")
    assert (unknown["request_id"], unknown["review_url"]) == (None, None)
    assert asked["message"] == "1 of 2 tools were asked for."
    assert listed["sources"][0]["state"] == "healthy"
    assert server["kind"] == "external"
    assert "mcpbox_discover_external_tools" in server["next"]


async def test_a_module_of_the_sandbox_is_a_source_too(connect: Connect) -> None:
    async with connect() as client:
        added = await call(
            client,
            "mcpbox_add_external_source",
            name="time",
            module="mcp_server_time",
            args=["--local-timezone", "UTC"],
        )

    assert added["source"]["endpoint"] == "python -m mcp_server_time --local-timezone UTC"
    assert "mcpbox_request_module" in added["next"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"module": "mcp_server_time"}, "either the url"),
        ({"args": ["x"]}, "args are for a module"),
        ({"url": "https://mcp.example.com:99999/mcp"}, "the source whole"),
        ({"url": "https://[::1/mcp"}, "the source whole"),
        ({"url": "https://mcp.example.com/mcp?key=x"}, "no user, query or fragment"),
        ({"auth_type": "bearer"}, "Name the secret"),
        ({"auth_type": "bearer", "auth_secret_name": "token"}, "capital letters"),
    ],
)
async def test_an_endpoint_that_cannot_be_is_refused_with_what_to_do(
    connect: Connect, changes: dict[str, Any], told: str
) -> None:
    async with connect() as client:
        error = error_of(await client.call_tool("mcpbox_add_external_source", HTTP | changes))

    assert error["code"] == "invalid"
    assert told in error["message"]


async def test_who_only_calls_adds_no_source(connect: Connect, world: World) -> None:
    async with connect(Scope.CALL) as client:
        error = error_of(await client.call_tool("mcpbox_add_external_source", HTTP))

    assert error["code"] == "refused"
    assert world.sources == {}
