"""I9 on real parts: a switch that is thrown ends what runs, on every replica, and stays thrown."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from mcp import MCPError
from pydantic import SecretStr

from mcpbox.crypto import hash_password
from mcpbox.store.session import plain_url
from tests.e2e.publishing import released
from tests.e2e.test_cancellation import SLEEPS, begun
from tests.instances import PASSWORD, Installed, free_ports
from tests.mcp_clients import Draft, author_on
from tests.reviewing import Reviewer, eventually

AT_ONCE_S = 5.0
"""A bound for a loaded machine; it is a few tenths of a second on a quiet one."""
START_S = 100.0
LONG = {"seconds": 50}
WHY = {"reason": "It leaks."}
SWITCHES = {
    "stop": ("servers", "is stopped"),
    "quarantine": ("servers", "is quarantined"),
    "disable": ("tools", "is disabled"),
    "tool quarantine": ("tools", "is quarantined"),
    "revoke": ("tools", "is not released"),
    "delete": ("servers", "is not released"),
}


@pytest.fixture(scope="module")
def replica(instance: Installed) -> Generator[Installed]:
    """A second gateway of the same instance."""
    with another_gateway(instance) as running:
        yield running


@contextmanager
def another_gateway(instance: Installed) -> Generator[Installed]:
    [port] = free_ports(1)
    environment = {**instance.env, **instance.process_environment()}
    with ExitStack() as ending:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.run", "gateway"],
            env={**environment, "MCPBOX_GATEWAY_PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ending.callback(process.wait, 20)
        ending.callback(process.terminate)

        until_healthy(f"http://127.0.0.1:{port}/health")
        yield replace(instance, gateway_url=f"http://127.0.0.1:{port}/mcp")


def until_healthy(address: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(address).is_success:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def target(switch: str, draft: Draft) -> str:
    kind, _ = SWITCHES[switch]
    thing = draft.server_id if kind == "servers" else draft.tool_id
    return f"/{kind}/{thing}/{switch.rpartition(' ')[2]}"


async def throw(api: httpx.AsyncClient, path: str, **body: str) -> dict[str, Any]:
    answer = await api.post(path, json=body or WHY)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else {}


@pytest.mark.parametrize("switch", SWITCHES)
async def test_i9_a_thrown_switch_ends_the_calls_in_flight_on_every_gateway(
    instance: Installed, replica: Installed, reviewer: Reviewer, switch: str
) -> None:
    async with author_on(instance) as here, author_on(replica) as there:
        draft = await released(here, reviewer, SLEEPS)

        async def listed() -> bool:
            return draft.callable_name in await there.tool_names()

        await eventually(listed)
        call = draft.callable_name, LONG
        calls = [await begun(here, call), await begun(there, call)]

        await throw(reviewer.api, target(switch, draft))
        ended: list[Any] = await asyncio.wait_for(asyncio.gather(*calls), AT_ONCE_S)

        for result in ended:
            assert result.is_error
            assert "The run was stopped" in result.content[0].text
            assert SWITCHES[switch][1] in result.content[0].text
        for author in (here, there):
            assert draft.callable_name not in await author.tool_names()


async def test_i9_calls_that_begin_while_a_switch_is_thrown_do_not_outlive_it(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer, SLEEPS)
        stopped = asyncio.Event()
        calls: list[asyncio.Task[Any]] = []

        async def keep_calling() -> None:
            while not stopped.is_set() or len(calls) < 10:
                calls.append(
                    asyncio.ensure_future(author.client.call_tool(draft.callable_name, LONG))
                )
                await asyncio.sleep(0.01)

        calling = asyncio.ensure_future(keep_calling())
        await throw(reviewer.api, target("stop", draft))
        stopped.set()
        await calling
        ended: list[Any] = await asyncio.wait_for(
            asyncio.gather(*calls, return_exceptions=True), AT_ONCE_S
        )

        for result in ended:
            assert isinstance(result, MCPError) or result.is_error, result


async def test_i9_a_quarantine_ends_trials_too_and_lets_none_begin(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await author.draft(SLEEPS)
        trial = {"tool_id": draft.tool_id, "arguments": LONG}
        trying: Any = await begun(author, ("mcpbox_test_code", trial))

        await throw(reviewer.api, target("quarantine", draft))

        ended = await asyncio.wait_for(trying, AT_ONCE_S)
        assert "The run was stopped. The server" in ended.content[0].text
        assert "is quarantined by person:admin: It leaks." in await author.failure(
            "mcpbox_test_code", **trial
        )


async def test_i9_what_people_narrow_no_client_widens(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer)
        server, tool = f"/servers/{draft.server_id}", f"/tools/{draft.tool_id}"

        async def start() -> str:
            return await author.failure("mcpbox_start_server", server_id=draft.server_id)

        async def enable() -> str:
            return await author.failure("mcpbox_update_tool", tool_id=draft.tool_id, enabled=True)

        # A client's own stop it may undo; the same stop said by a person it may not.
        await author.call("mcpbox_stop_server", server_id=draft.server_id)
        await author.call("mcpbox_start_server", server_id=draft.server_id)
        await author.call("mcpbox_stop_server", server_id=draft.server_id)
        await throw(reviewer.api, f"{server}/stop")
        assert "switched off by person:admin: It leaks." in await start()
        seen = await author.call("mcpbox_get_server", server_id=draft.server_id)
        assert "Only people start it again" in seen["next"]

        await throw(reviewer.api, f"{server}/quarantine")
        assert "is quarantined" in await start()
        early = await reviewer.api.post(f"{server}/start", json={})
        assert early.status_code == 409
        lifted = await throw(reviewer.api, f"{server}/quarantine/lift", reason="It was mended.")
        assert (lifted["desired_state"], lifted["quarantine"]) == ("stopped", None)
        assert "switched off by person:admin" in await start()

        await throw(reviewer.api, f"{tool}/disable")
        assert "switched off by person:admin" in await enable()
        await throw(reviewer.api, f"{server}/start")
        await throw(reviewer.api, f"{tool}/enable")

        async def listed() -> bool:
            return draft.callable_name in await author.tool_names()

        await eventually(listed)
        assert await author.call(draft.callable_name, a=1) == {"sum": 3}


async def test_a_revoked_release_is_gone_and_says_why(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer)

        tool = await throw(reviewer.api, target("revoke", draft))
        again = await reviewer.api.post(target("revoke", draft), json=WHY)
        status = await author.call("mcpbox_get_tool_status", tool_id=draft.tool_id)

    assert (tool["released_version"], tool["revoked"]["reason"]) == (None, "It leaks.")
    assert (again.status_code, "Nothing of the tool" in again.text) == (409, True)
    assert (status["approval_status"], status["released_version"]) == ("rejected", None)
    assert "was revoked by person:admin: It leaks." in status["next"]


async def person(instance: Installed, role: str) -> str:
    name = f"{role}{uuid4().hex[:8]}"
    connection = await asyncpg.connect(plain_url(instance.database_url))
    await connection.execute(
        "INSERT INTO users (id, username, password_hash, roles, active, created_at)"
        " VALUES ($1, $2, $3, $4, true, now())",
        uuid4(),
        name,
        await asyncio.to_thread(hash_password, SecretStr(PASSWORD)),
        [role],
    )
    await connection.close()
    return name


MAY: dict[str, str] = {
    "viewer": "",
    "reviewer": "",
    "auditor": "",
    "operator": "stop start quarantine disable enable revoke",
    "admin": "stop start quarantine lift disable enable revoke",
}


@pytest.mark.parametrize("role", MAY)
async def test_who_may_throw_which_switch_on_which_face(
    instance: Installed, reviewer: Reviewer, role: str
) -> None:
    """REST and the command line under one rule; MCP's half is above."""
    async with author_on(instance) as author:
        draft = await released(author, reviewer)
    name = await person(instance, role)
    server, tool = f"/servers/{draft.server_id}", f"/tools/{draft.tool_id}"
    paths = {
        "stop": f"{server}/stop",
        "start": f"{server}/start",
        "quarantine": f"{server}/quarantine",
        "lift": f"{server}/quarantine/lift",
        "disable": f"{tool}/disable",
        "enable": f"{tool}/enable",
        "revoke": f"{tool}/revoke",
    }

    async with httpx.AsyncClient(base_url=instance.api_url) as api:
        login = {"username": name, "password": PASSWORD}
        token = (await api.post("/auth/login", json=login)).json()["access_token"]
        api.headers["authorization"] = f"Bearer {token}"
        answers = {switch: await api.post(path, json=WHY) for switch, path in paths.items()}
        nobody = await api.post(
            paths["stop"],
            json=WHY,
            headers={"authorization": f"Bearer {instance.client_token}"},
        )

    refused = {switch for switch, answer in answers.items() if answer.status_code == 403}
    assert refused == set(paths) - set(MAY[role].split())
    assert nobody.status_code == 401
    done = instance.command(
        "servers", "quarantine", draft.server_id, "--reason", "Again.", "--as", name
    )
    assert done.returncode == (0 if "quarantine" in MAY[role] else 3), done.stderr


@pytest.mark.timeout(240)  # each command is a process of its own
async def test_every_switch_is_on_the_command_line_and_in_the_audit_log(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer)
    server, tool = draft.server_id, draft.tool_id
    why = ("--reason", "A drill.")
    for command in (
        ("servers", "stop", server),
        ("servers", "start", server),
        ("servers", "quarantine", server, *why),
        ("servers", "release", server, *why),
        ("tools", "disable", tool),
        ("tools", "enable", tool),
        ("tools", "quarantine", tool, *why),
        ("tools", "release", tool, *why),
        ("tools", "revoke", tool, *why),
    ):
        done = instance.command(*command, "--json")
        assert done.returncode == 0, (command, done.stderr)
        json.loads(done.stdout)
    listed = instance.command("tools", "list", "--server", server)
    assert "disabled" in listed.stdout
    deleted = instance.command("servers", "delete", server, *why, "--json")
    assert json.loads(deleted.stdout)["id"] == server
    assert instance.command("servers", "delete", server).returncode == 4

    connection = await asyncpg.connect(plain_url(instance.database_url))
    rows = await connection.fetch(
        "SELECT actor, action, detail FROM audit_events WHERE subject IN ($1, $2)"
        " AND action NOT LIKE '%:created' AND action NOT LIKE '%:made' ORDER BY sequence",
        f"server:{server}",
        f"tool:{tool}",
    )
    await connection.close()

    assert {row["actor"] for row in rows} == {"person:admin"}
    assert [row["action"].partition(":")[2] for row in rows] == [
        "server:stopped",
        "server:started",
        "server:quarantined",
        "server:quarantine_lifted",
        "tool:disabled",
        "tool:enabled",
        "tool:quarantined",
        "tool:quarantine_lifted",
        "release:revoked",
        "server:deleted",
    ]
    assert rows[2]["detail"].endswith(": A drill.")
