"""Who may do what, tried from outside: tokens, sessions, roles (I3, I4)."""

import asyncio
import json
import re
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowUpdateFailedError

from cli.instance import Instance
from mcpbox.crypto import hash_password
from mcpbox.domain.commands import DecideCommand
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.ids import DecisionId
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.session import plain_url
from mcpbox.temporal import Message, connect
from tests.e2e.leaks import assert_tells_nothing_inside
from tests.e2e.publishing import released
from tests.instances import PASSWORD, Installed
from tests.mcp_clients import ERAS, Era, author_on
from tests.reviewing import Reviewer, eventually

AT_ONCE_S = 5.0
"""A bound for a loaded machine; `make bench` shows how soon it really is."""
JSON_AND_SSE = {"accept": "application/json, text/event-stream"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# The gateway


@pytest.mark.parametrize("given", ["nothing", "unknown", "basic", "person"])
async def test_only_a_client_token_opens_the_gateway(
    instance: Installed, reviewer: Reviewer, given: str
) -> None:
    headers = {
        "nothing": {},
        "unknown": bearer("mcpbox_made_up"),
        "basic": {"authorization": "Basic YWRtaW46YWRtaW4="},
        "person": {"authorization": reviewer.api.headers["authorization"]},
    }[given]

    async with httpx.AsyncClient() as http:
        answer = await http.post(
            instance.gateway_url, json=INITIALIZE, headers=JSON_AND_SSE | headers
        )

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "mcpbox clients create" in answer.text
    assert_tells_nothing_inside(instance, answer.text)


async def test_a_revoked_client_is_out_at_once_even_in_its_open_session(
    instance: Installed,
) -> None:
    name, token = await asyncio.to_thread(instance.new_client)
    async with httpx.AsyncClient(headers=JSON_AND_SSE | bearer(token)) as http:
        session = await opened(http, instance)
        assert (await http.post(instance.gateway_url, json=LIST, headers=session)).is_success
        revoked = await asyncio.to_thread(instance.command, "clients", "revoke", name)
        assert revoked.returncode == 0, revoked.stderr

        async def refused() -> bool:
            answer = await http.post(instance.gateway_url, json=LIST, headers=session)
            return answer.status_code == 401

        async with asyncio.timeout(AT_ONCE_S):
            await eventually(refused)
        answer = await http.post(instance.gateway_url, json=INITIALIZE)

    assert (answer.status_code, "revoked" in answer.text) == (401, True)


async def test_a_new_token_opens_the_gateway_and_the_old_one_no_more(instance: Installed) -> None:
    name, old = await asyncio.to_thread(instance.new_client)
    rotated = await asyncio.to_thread(
        instance.command, "clients", "rotate", name, "--days", "1", "--json"
    )
    assert rotated.returncode == 0, rotated.stderr
    new = json.loads(rotated.stdout)["token"]
    listed = await asyncio.to_thread(instance.command, "clients", "list")
    assert re.search(rf"^{name} +live .* until ", listed.stdout, re.MULTILINE)

    async with httpx.AsyncClient(headers=JSON_AND_SSE) as http:

        async def refused() -> bool:
            answer = await http.post(instance.gateway_url, json=INITIALIZE, headers=bearer(old))
            return answer.status_code == 401

        async with asyncio.timeout(AT_ONCE_S):
            await eventually(refused)
        assert await opened(http, instance, bearer(new))


async def test_the_session_of_another_client_does_not_exist(instance: Installed) -> None:
    _, other = await asyncio.to_thread(instance.new_client)
    async with httpx.AsyncClient(headers=JSON_AND_SSE) as http:
        session = await opened(http, instance, bearer(instance.client_token))
        answer = await http.post(instance.gateway_url, json=LIST, headers=session | bearer(other))

    assert answer.status_code == 404


async def opened(
    http: httpx.AsyncClient, instance: Installed, headers: dict[str, str] | None = None
) -> dict[str, str]:
    """The header that continues a new handshake-era session."""
    answer = await http.post(instance.gateway_url, json=INITIALIZE, headers=headers)
    return {"mcp-session-id": answer.raise_for_status().headers["mcp-session-id"]}


@pytest.mark.parametrize("era", ERAS)
async def test_a_token_does_what_its_scopes_say_and_nothing_else(
    instance: Installed, reviewer: Reviewer, era: Era
) -> None:
    async with author_on(instance, era) as author:
        draft = await released(author, reviewer)
    call_only, author_only = await asyncio.gather(
        asyncio.to_thread(instance.token, "call"), asyncio.to_thread(instance.token, "author")
    )

    async with author_on(instance, era, token=call_only) as caller:
        management = [name for name in await caller.tool_names() if name.startswith("mcpbox_")]
        assert management == ["mcpbox_search_tools"]
        assert "'author'" in await caller.failure("mcpbox_list_servers")
        assert await caller.call(draft.callable_name, a=1) == {"sum": 3}
    async with author_on(instance, era, token=author_only) as writer:
        assert draft.callable_name not in await writer.tool_names()
        assert "'call'" in await writer.failure(draft.callable_name, a=1)


# REST and the panel


async def test_i3_a_client_token_opens_nothing_on_rest_and_decides_nothing(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft(), sample_arguments={"a": 1})
    request = await reviewer.when(request_id, "awaiting_decision")

    async with httpx.AsyncClient(
        base_url=instance.api_url, headers=bearer(instance.client_token)
    ) as http:
        answers = [
            await Reviewer(http).decide(request),
            await http.post(f"/requests/{request_id}/withdrawal", json={}),
            await http.get("/requests"),
            await http.get("/auth/me"),
            await http.post("/auth/refresh", json={"refresh_token": instance.client_token}),
        ]

    assert [answer.status_code for answer in answers] == [403] + [401] * 4
    assert "a client or a token never does" in answers[0].json()["detail"]
    untouched = await reviewer.request(request_id)
    assert (untouched["state"], untouched["decisions"]) == ("awaiting_decision", [])


async def test_i4_a_person_without_the_role_is_refused_on_rest(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft(), sample_arguments={"a": 1})
    request = await reviewer.when(request_id, "awaiting_decision")

    tokens = await signed_in(instance, await a_viewer(instance))
    async with httpx.AsyncClient(
        base_url=instance.api_url, headers=bearer(tokens["access_token"])
    ) as http:
        seen = await http.get(f"/requests/{request_id}")
        decided = await Reviewer(http).decide(request)
        withdrawn = await http.post(f"/requests/{request_id}/withdrawal", json={})

    assert (seen.status_code, decided.status_code, withdrawn.status_code) == (200, 403, 403)
    assert "role reviewer" in decided.json()["detail"]
    assert (await reviewer.request(request_id))["decisions"] == []


async def test_i3_i4_a_forbidden_update_to_temporal_leaves_no_trace(
    instance: Installed, reviewer: Reviewer
) -> None:
    """Past every face of ours: refused before anything enters the history."""
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft(), sample_arguments={"a": 1})
    request = await reviewer.when(request_id, "awaiting_decision")
    client = await connect(
        instance.temporal_address,
        instance.settings.temporal_namespace,
        Instance(instance.settings).temporal_keys(),
    )
    workflow = client.get_workflow_handle(request["workflow_id"])
    before = len((await workflow.fetch_history()).events)

    for principal in (
        Principal(kind=PrincipalKind.CLIENT, name="laptop", roles=frozenset({Role.ADMIN})),
        Principal(kind=PrincipalKind.PERSON, name="admin", roles=frozenset({Role.VIEWER})),
    ):
        command = DecideCommand(
            draft=DecisionDraft(
                id=DecisionId(uuid4()), verdict=Verdict.APPROVE, seen_digest=request["digest"]
            ),
            reviewer=principal,
            channel=Channel.API,
        )
        with pytest.raises(WorkflowUpdateFailedError):
            await workflow.execute_update(Message.DECIDE, command)

    assert len((await workflow.fetch_history()).events) == before
    assert (await reviewer.request(request_id))["state"] == "awaiting_decision"


async def a_viewer(instance: Installed) -> str:
    name = f"vic{uuid4().hex[:8]}"
    connection = await asyncpg.connect(plain_url(instance.database_url))
    await connection.execute(
        "INSERT INTO users (id, username, password_hash, roles, active, created_at)"
        " VALUES ($1, $2, $3, $4, true, now())",
        uuid4(),
        name,
        hash_password(SecretStr(PASSWORD)),
        ["viewer"],
    )
    await connection.close()
    return name


async def signed_in(instance: Installed, username: str = "admin") -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=instance.api_url) as http:
        answer = await http.post("/auth/login", json={"username": username, "password": PASSWORD})
    return answer.raise_for_status().json()


async def test_a_refresh_token_works_once_and_ends_the_tokens_before_it(
    instance: Installed,
) -> None:
    first = await signed_in(instance)
    async with httpx.AsyncClient(base_url=instance.api_url) as http:
        body = {"refresh_token": first["refresh_token"]}
        second = await http.post("/auth/refresh", json=body)
        again = await http.post("/auth/refresh", json=body)
        old = await http.get("/auth/me", headers=bearer(first["access_token"]))
        new = await http.get("/auth/me", headers=bearer(second.json()["access_token"]))

    codes = [answer.status_code for answer in (second, again, old, new)]
    assert codes == [200, 401, 401, 200]


async def test_signing_out_ends_the_session_at_once(instance: Installed) -> None:
    tokens = await signed_in(instance)
    headers = bearer(tokens["access_token"])
    async with httpx.AsyncClient(base_url=instance.api_url) as http:
        assert (await http.get("/auth/me", headers=headers)).status_code == 200
        ended = await http.post("/auth/logout", headers=headers)
        after = await http.get("/auth/me", headers=headers)
        refreshed = await http.post(
            "/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
        )

    assert (ended.status_code, after.status_code, refreshed.status_code) == (204, 401, 401)


async def test_five_wrong_passwords_are_followed_by_a_pause(instance: Installed) -> None:
    name = await a_viewer(instance)
    async with httpx.AsyncClient(base_url=instance.api_url, timeout=30) as http:
        answers = [
            await http.post("/auth/login", json={"username": name, "password": "wrong"})
            for _ in range(5)
        ]
        sixth = await http.post("/auth/login", json={"username": name, "password": PASSWORD})

    assert [answer.status_code for answer in answers] == [401] * 5
    assert sixth.status_code == 429
    assert "try again in" in sixth.json()["detail"]
    assert_tells_nothing_inside(instance, answers[0].text + sixth.text)


@pytest.mark.parametrize("path", ["/", "/approvals", "/servers", "/tools", "/executions", "/other"])
async def test_the_panel_shows_nothing_without_a_session(instance: Installed, path: str) -> None:
    async with httpx.AsyncClient(
        base_url=instance.panel_url, headers={"accept": "text/html"}
    ) as http:
        visited = await http.get(path)
        stale = await http.get(path, headers={"cookie": "mcpbox=mcpbox_access_old"})

    assert (visited.status_code, visited.headers["location"]) == (303, "/login")
    assert (stale.status_code, stale.headers["location"]) == (303, "/login")


@pytest.mark.parametrize(
    ("origin", "signed", "status"),
    [
        ("own", True, 101),
        ("own", False, 403),
        ("https://evil.example", True, 403),
        (None, True, 403),
    ],
)
async def test_the_live_connection_is_for_our_own_signed_in_pages(
    instance: Installed, origin: str | None, signed: bool, status: int
) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    if origin:
        headers["origin"] = instance.panel_url if origin == "own" else origin
    if signed:
        headers["cookie"] = f"mcpbox={(await signed_in(instance))['access_token']}"

    async with (
        httpx.AsyncClient() as http,
        http.stream(
            "GET",
            f"{instance.panel_url}/_nicegui_ws/socket.io/?EIO=4&transport=websocket",
            headers=headers,
        ) as answer,
    ):
        assert answer.status_code == status


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/servers", "/api/v1/auth/login"])
async def test_a_page_that_rebinds_its_name_to_us_learns_nothing(
    instance: Installed, path: str
) -> None:
    async with httpx.AsyncClient(base_url=instance.panel_url) as http:
        foreign = await http.get(path, headers={"host": "evil.example"})
        forwarded = await http.get(path, headers={"host": "localhost:9999"})

    assert foreign.status_code == 421
    assert "MCPBOX_PUBLIC_HOSTS" in foreign.json()["detail"]
    assert forwarded.status_code != 421
