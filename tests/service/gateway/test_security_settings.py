"""The security settings bite at the gateway: on the next call, and the strictest until known."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from mcpbox.domain.manifests import Granted, Manifest
from mcpbox.domain.review_policy import Redaction, RemoteEditing
from mcpbox.domain.secrets import HeldSecret
from mcpbox.policies.redaction import CUT
from sandbox.contract import ErrorKind, RunError, RunResult
from tests.reviewing import eventually
from tests.service.gateway.factories import a_callable, a_version, soon
from tests.service.gateway.raw import call_of
from tests.service.gateway.running import RunningGateway, text_of
from tests.service.gateway.world import World

EDITING = {"mcpbox_create_server", "mcpbox_create_tool", "mcpbox_update_tool", "mcpbox_delete_tool"}
FROM_OUTSIDE = {"x-forwarded-for": "93.184.216.34"}
SECRET = "ghp_" + "a1b2" * 9
ERA = "2026-07-28"


async def told(gateway: RunningGateway, headers: dict[str, str]) -> dict[str, Any]:
    """The answer to a call that makes a server."""
    async with gateway.http() as http:
        more, body = await call_of(
            http, ERA, "mcpbox_create_server", {"name": "s", "description": "d"}
        )
        answer = await http.post("/mcp", json=body, headers={**more, **headers})
    return answer.json()["result"]


async def listed(gateway: RunningGateway, headers: dict[str, str]) -> set[str]:
    async with gateway.http() as http:
        more, call = await call_of(http, ERA, "unused")
        body = {**call, "method": "tools/list", "params": {"_meta": call["params"]["_meta"]}}
        more = {**more, "mcp-method": "tools/list"}
        del more["mcp-name"]
        answer = await http.post("/mcp", json=body, headers={**more, **headers})
    return {tool["name"] for tool in answer.json()["result"]["tools"]}


async def test_from_outside_nothing_is_changed_by_default(
    gateway: RunningGateway, world: World
) -> None:
    refused = await told(gateway, FROM_OUTSIDE)

    assert refused["isError"]
    assert "remote_tool_editing" in json.dumps(refused)
    assert world.servers == {}
    assert not await listed(gateway, FROM_OUTSIDE) & EDITING
    assert await listed(gateway, {}) >= EDITING
    assert not (await told(gateway, {})).get("isError")


async def test_an_admin_may_open_editing_to_the_outside(
    gateway: RunningGateway, world: World
) -> None:
    world.set_security(remote_tool_editing=RemoteEditing.ENABLED)

    async def opened() -> bool:
        return await listed(gateway, FROM_OUTSIDE) >= EDITING

    await eventually(opened)
    assert not (await told(gateway, FROM_OUTSIDE)).get("isError")

    world.set_security(remote_tool_editing=RemoteEditing.DISABLED)

    async def closed() -> bool:
        return not await listed(gateway, FROM_OUTSIDE) & EDITING

    await eventually(closed)


LEAKING = RunResult(
    ok=True, result={"key": SECRET, "n": 1}, stdout=f"got {SECRET}\n", duration_ms=1
)
FAILING = RunResult(
    ok=False,
    error=RunError(kind=ErrorKind.RAISED, message=f"no access with {SECRET}", line=2),
    duration_ms=1,
)


@pytest.mark.parametrize("result", [LEAKING, FAILING], ids=["result", "error"])
async def test_a_secret_in_the_output_is_neither_shown_nor_kept(
    gateway: RunningGateway, world: World, result: RunResult
) -> None:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    world.sandbox.result = result
    async with gateway.client(ERA) as client:
        answered = await client.call_tool("calc__add", {"a": 1})

    assert SECRET not in answered.model_dump_json()
    assert CUT in text_of(answered)
    await soon(world.written.wait())
    [execution] = world.executions
    assert SECRET not in execution.model_dump_json()
    assert CUT in execution.model_dump_json()


async def test_the_value_of_a_secret_of_the_server_is_cut_wherever_it_comes_back(
    gateway: RunningGateway, world: World
) -> None:
    held = HeldSecret(value=SecretStr("open-sesame-17"), hosts=("a.org",))
    version = a_version(manifest=Manifest(secret_names=("KEY",)))
    world.release(
        a_callable(version, granted=Granted(secrets=frozenset({"KEY"})), secrets={"KEY": held})
    )
    await gateway.caught_up()
    world.sandbox.result = RunResult(ok=True, result="it is open-sesame-17", duration_ms=1)
    async with gateway.client(ERA) as client:
        answered = await client.call_tool("calc__add", {"a": 1})

    assert text_of(answered) == f'"it is {CUT}"'


async def test_output_is_shown_as_it_is_where_an_admin_said_so(
    gateway: RunningGateway, world: World
) -> None:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    world.sandbox.result = LEAKING
    world.set_security(redact_secrets_in_output=Redaction.DISABLED)

    async def shown() -> bool:
        async with gateway.client(ERA) as client:
            return SECRET in text_of(await client.call_tool("calc__add", {"a": 1}))

    assert await eventually(shown)


async def test_a_secret_is_cut_from_progress_also_where_it_comes_in_pieces(
    gateway: RunningGateway, world: World
) -> None:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    world.sandbox.prints = (SECRET[:7], SECRET[7:], " and more\n", "unfinished ", SECRET)
    said: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        said.append(message or "")

    async with gateway.client(ERA) as client:
        await client.call_tool("calc__add", {"a": 1}, progress_callback=on_progress)

    assert said == [f"{CUT} and more", f"unfinished {CUT}"]


async def test_what_begins_like_a_configured_word_is_cut(
    gateway: RunningGateway, world: World
) -> None:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    world.sandbox.result = RunResult(ok=True, result="id acme-17 of acme", duration_ms=1)
    world.set_security(redact_prefixes=("acme-",))

    async def cut() -> bool:
        async with gateway.client(ERA) as client:
            return text_of(await client.call_tool("calc__add", {"a": 1})) == f'"id {CUT} of acme"'

    assert await eventually(cut)
