"""Whoever asks too often is told how long to wait, in a form that its client can show."""

import pytest
from mcp import MCPError
from mcp_types import CallToolResult

from gateway.refusals import RATE_EXCEEDED
from mcpbox.domain.executions import ExecutionOutcome
from tests.reviewing import eventually
from tests.service.gateway.factories import a_callable, a_version, soon
from tests.service.gateway.raw import JSON_AND_SSE, LIST, call_of
from tests.service.gateway.running import RunningGateway, text_of
from tests.service.gateway.world import World

UNLIMITED = 1_000_000
STRICT = 10
OTHER_TOKEN = "mcpbox_other_token"


async def in_force(gateway: RunningGateway, world: World, **limits: int) -> None:
    world.set_security(**limits)

    async def loaded() -> bool:
        return gateway.gateway.settings == world.settings

    await eventually(loaded)


async def exhausted(gateway: RunningGateway, world: World) -> None:
    """Use up what the client may do in a minute; then so strict that it lasts three seconds."""
    await in_force(gateway, world, mcp_rate_limit_rpm=20)
    async with gateway.http() as http:
        while (
            "retry-after" not in (await http.post("/mcp", json=LIST, headers=JSON_AND_SSE)).headers
        ):
            pass
    await in_force(gateway, world, mcp_rate_limit_rpm=STRICT)


@pytest.fixture
async def released(gateway: RunningGateway, world: World) -> RunningGateway:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    return gateway


def code_of(result: CallToolResult) -> str:
    assert result.structured_content is not None
    return result.structured_content["error"]["code"]


async def test_a_call_too_many_is_a_tool_error_and_works_again_when_the_limit_is_raised(
    released: RunningGateway, world: World, era: str
) -> None:
    async with released.client(era) as client:
        assert not (await client.call_tool("calc__add", {"a": 1})).is_error
        await exhausted(released, world)
        runs = len(world.sandbox.runs)
        refused = await client.call_tool("calc__add", {"a": 1})
        await in_force(released, world, mcp_rate_limit_rpm=UNLIMITED)
        answered = await client.call_tool("calc__add", {"a": 1})

    assert refused.is_error
    assert code_of(refused) == "too_many_attempts"
    assert "Too many requests from this client: 10 a minute at most. Wait " in text_of(refused)
    assert not answered.is_error
    assert len(world.sandbox.runs) == runs + 1


async def test_any_other_request_too_many_is_an_error_that_says_what_to_do(
    released: RunningGateway, world: World, era: str
) -> None:
    async with released.client(era) as client:
        await exhausted(released, world)
        with pytest.raises(MCPError, match=r"Wait \d s, then try again") as refusal:
            await client.list_tools()
        async with released.http() as http:
            named = {"mcp-method": "tools/list"} if era != "legacy" else {}
            raw = await http.post("/mcp", json=LIST, headers={**JSON_AND_SSE, **named})
        await in_force(released, world, mcp_rate_limit_rpm=UNLIMITED)

    assert refusal.value.error.code == RATE_EXCEEDED
    # Clients of the handshake era end their connection at it.
    assert raw.status_code == (200 if era == "legacy" else 429)
    assert raw.json()["id"] == LIST["id"]
    assert raw.json()["error"]["data"]["retry_after_s"] == int(raw.headers["retry-after"])
    assert 2 <= int(raw.headers["retry-after"]) <= 6


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"method": "tools/call"}', b" " * 100_000])
async def test_a_refusal_reads_no_more_of_a_request_than_it_has_to(
    released: RunningGateway, world: World, body: bytes
) -> None:
    await exhausted(released, world)
    async with released.http() as http:
        answer = await http.post("/mcp", content=body, headers=JSON_AND_SSE)

    assert answer.status_code == 429


async def test_one_client_s_limit_is_no_other_s(released: RunningGateway, world: World) -> None:
    world.add_client(OTHER_TOKEN, name="desktop")
    await exhausted(released, world)

    async with released.http(OTHER_TOKEN) as http:
        headers, call = await call_of(http, "2026-07-28")
        answer = await http.post("/mcp", json=call, headers=headers)

    assert not answer.json()["result"]["isError"]


async def test_a_tool_that_is_called_too_often_says_so_and_the_log_keeps_it(
    released: RunningGateway, world: World
) -> None:
    await in_force(released, world, tool_rate_limit_rpm=STRICT)
    async with released.client("2026-07-28") as client:
        results = [await client.call_tool("calc__add", {"a": 1}) for _ in range(STRICT + 1)]

    assert [result.is_error for result in results] == [False] * STRICT + [True]
    assert code_of(results[-1]) == "too_many_attempts"
    assert "Too many calls of calc__add, by all clients together" in text_of(results[-1])
    await soon(world.written.wait())

    async def logged() -> bool:
        return len(world.executions) == STRICT + 1

    await eventually(logged)
    assert world.executions[-1].outcome is ExecutionOutcome.REFUSED
