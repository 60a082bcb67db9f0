"""Decisions that must not be, and every path that one could be tried on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from mcp.shared.exceptions import MCPError
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError
from typer.testing import CliRunner

from api.app import PREFIX, build_api
from api.deps import PANEL_ADDRESS, Parts
from cli.admin import build_parts
from cli.main import app as command_line
from mcpbox.crypto import new_token, token_hash
from mcpbox.domain.decisions import DecisionDraft
from mcpbox.domain.people import PrincipalKind, Role
from mcpbox.settings import Settings
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.people import SessionRow, UserRow
from mcpbox.temporal import Message
from tests.e2e.test_policy import changed
from tests.factories import OTHER_DIGEST
from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer
from ui.problems import ApiProblem
from ui.rest import Rest

_ROLES = {
    "reviewer": "reviewer",
    "viewer": "viewer",
    "operator": "operator",
    "deputy": "viewer",
    "inactive": "reviewer",
}
SLOW = "import asyncio\nasync def main() -> None:\n    await asyncio.sleep(30)\n"
"""Its trial, and so the gathering of evidence, outlasts every attempt at it."""


@dataclass(frozen=True)
class Attempt:
    """One decision that must not be; what is not said is as it should be."""

    rule: str
    """Words of the rule that refuses it."""
    by: str = "admin"
    request: str = "waiting"
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    elsewhere: dict[str, str] = field(default_factory=dict[str, str])
    """``{path: words}``, where something in front of the rule refuses it already, by nobody's
    name, so that there is nobody to record; "" where it cannot even be said."""


NOBODY = "is not the name of an active person"
NEEDS_ROLE = "Deciding needs the role reviewer or admin"
ATTEMPTS: dict[str, Attempt] = {
    "i3: a client": Attempt(
        "Only people decide requests; a client or a token never does.",
        by="client",
        elsewhere={"cli": "There is no active user", "signal": NOBODY},
    ),
    "i4: a viewer": Attempt(NEEDS_ROLE, by="viewer"),
    "an operator": Attempt(NEEDS_ROLE, by="operator"),
    "an inactive person": Attempt(
        NOBODY,
        by="inactive",
        elsewhere={
            "rest": "The session has ended",
            "panel": "The session has ended",
            "cli": "There is no active user",
        },
    ),
    "a deputy whose right has ended": Attempt(NEEDS_ROLE, by="deputy"),
    "their own request, where duties are separate": Attempt(
        "A client of yours asked for this; somebody else decides.", request="separate"
    ),
    "a stale digest": Attempt(
        "The digest you saw is not the digest", changes={"seen_digest": OTHER_DIGEST}
    ),
    "a denial without a reason": Attempt(
        "Give a reason", changes={"verdict": "deny", "reason": " "}
    ),
    "break-glass by a reviewer": Attempt(
        "Only an admin forces an approval",
        by="reviewer",
        changes={"break_glass": True, "reason": "Production is down."},
        elsewhere={"signal": "Malformed: break_glass"},
    ),
    "an id that another decision has": Attempt(
        "Another decision has this id already",
        by="reviewer",
        request="half",
        changes={"id": "half", "verdict": "deny"},
        elsewhere={"cli": ""},
    ),
    "a request that is closed": Attempt(
        "This request is denied; it can no longer be decided.",
        request="closed",
        elsewhere={"update": "already completed", "signal": "already completed"},
    ),
    "evidence that is still gathered": Attempt(
        "The evidence is still being gathered", request="gathering"
    ),
    "a request that there is not": Attempt(
        "There is no request",
        request="unknown",
        elsewhere={"update": "not found", "signal": "not found"},
    ),
}


@dataclass
class World:
    """An instance with people of every kind, and a request in every state."""

    instance: Installed
    reviewer: Reviewer
    temporal: Client
    panel: Callable[[str], httpx.AsyncClient]
    """Its way to data, with a visitor's token."""
    people: dict[str, str]
    """``{who: user name}``."""
    tokens: dict[str, str]
    requests: dict[str, dict[str, Any]]
    half_id: str

    async def request(self, attempt: Attempt) -> dict[str, Any]:
        if attempt.request != "gathering":
            return self.requests[attempt.request]
        async with author_on(self.instance, token=self.tokens["client"]) as author:
            request_id = await author.ask(await author.draft(SLOW), sample_arguments={})
        return await self.reviewer.when(request_id, "gathering")

    def draft(self, attempt: Attempt, request: dict[str, Any]) -> dict[str, Any]:
        draft = {
            "id": str(uuid4()),
            "verdict": "approve",
            "reason": "Read it.",
            "seen_digest": request["digest"],
        } | attempt.changes
        return draft | {"id": self.half_id} if draft["id"] == "half" else draft

    async def refusals(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """What the audit log has of them, newest first."""
        query = {"subject": f"request:{request['id']}", "action": "request:decision:refused"}
        answer = await self.reviewer.api.get("/audit", params=query)
        return answer.raise_for_status().json()["items"]


Path = Callable[[World, Attempt, dict[str, Any], dict[str, Any]], Awaitable[str]]
"""Tries it; answers the words of the refusal, and fails where there is none."""


async def over_rest(
    world: World, attempt: Attempt, request: dict[str, Any], draft: dict[str, Any]
) -> str:
    headers = {"authorization": f"Bearer {world.tokens[attempt.by]}"}
    return await _posted(world, request, draft, headers)


async def over_rest_by_cookie(
    world: World, attempt: Attempt, request: dict[str, Any], draft: dict[str, Any]
) -> str:
    """The panel's: a page elsewhere could have the browser send it along."""
    return await _posted(world, request, draft, {"cookie": f"mcpbox={world.tokens[attempt.by]}"})


async def _posted(
    world: World, request: dict[str, Any], draft: dict[str, Any], headers: dict[str, str]
) -> str:
    async with httpx.AsyncClient(base_url=world.instance.api_url, timeout=30) as http:
        answer = await http.post(
            f"/requests/{request['id']}/decisions", json=draft, headers=headers
        )
    assert answer.is_client_error, answer.text
    return answer.json()["detail"]


async def in_the_panel(
    world: World, attempt: Attempt, request: dict[str, Any], draft: dict[str, Any]
) -> str:
    async with world.panel(world.tokens[attempt.by]) as http:
        with pytest.raises(ApiProblem) as refused:
            await Rest(http).decide(request["id"], DecisionDraft.model_validate(draft))
    return refused.value.detail


async def on_the_command_line(
    world: World, attempt: Attempt, request: dict[str, Any], draft: dict[str, Any]
) -> str:
    arguments = [
        *("requests", draft["verdict"], request["id"]),
        *("--digest", draft["seen_digest"], "--reason", draft["reason"]),
        *("--as", world.people[attempt.by]),
        *(["--break-glass"] if draft.get("break_glass") else []),
    ]
    done = await asyncio.to_thread(
        CliRunner().invoke, command_line, arguments, env=world.instance.env
    )
    assert done.exit_code, done.output
    return done.stderr


async def by_an_mcp_client(
    world: World, attempt: Attempt, request: dict[str, Any], draft: dict[str, Any]
) -> str:
    del attempt
    async with author_on(world.instance, token=world.tokens["client"]) as author:
        try:
            return await author.failure("mcpbox_decide", request_id=request["id"], **draft)
        except MCPError as error:
            return error.message


async def by_temporal_update(
    world: World, attempt: Attempt, request: dict[str, Any], draft: dict[str, Any]
) -> str:
    """Past every face, and claiming all roles and the panel."""
    kind = PrincipalKind.CLIENT if attempt.by == "client" else PrincipalKind.PERSON
    claimed = {"kind": kind, "name": world.people[attempt.by], "roles": list(Role)}
    command = {"draft": draft, "reviewer": claimed, "channel": "panel"}
    workflow = world.temporal.get_workflow_handle(request["workflow_id"])
    with pytest.raises((WorkflowUpdateFailedError, RPCError)) as refused:
        await workflow.execute_update(Message.DECIDE, command)
    return str(refused.value.__cause__ or refused.value)


async def by_temporal_signal(
    world: World, attempt: Attempt, request: dict[str, Any], draft: dict[str, Any]
) -> str:
    """Answered before the rule is asked; what that says is on the request afterwards."""
    before = len(await world.refusals(request))
    workflow = world.temporal.get_workflow_handle(request["workflow_id"])
    try:
        await workflow.signal(Message.DECIDE, {**draft, "reviewer": world.people[attempt.by]})
    except RPCError as error:
        return str(error)

    async with asyncio.timeout(30):
        while len(found := await world.refusals(request)) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found[0]["detail"]


PATHS: dict[str, Path] = {
    "rest": over_rest,
    "cookie": over_rest_by_cookie,
    "panel": in_the_panel,
    "cli": on_the_command_line,
    "mcp": by_an_mcp_client,
    "update": by_temporal_update,
    "signal": by_temporal_signal,
}
CHANNELS = {"rest": "api", "panel": "panel", "cli": "cli", "signal": "temporal"}
"""What the event says of the path; the others refuse before anybody is known."""
CLOSED_PATHS = {
    "cookie": "Log in with POST /api/v1/auth/login",
    "mcp": "There is no tool 'mcpbox_decide'",
}
"""On these nobody decides anything."""


@asynccontextmanager
async def forbidden_world(instance: Installed, reviewer: Reviewer) -> AsyncGenerator[World]:
    parts = _parts_of(instance)
    app = build_api(parts)

    def panel(token: str) -> httpx.AsyncClient:
        """As the admin process has it: it asks its own API as a peer that no socket can be."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=(PANEL_ADDRESS, 0)),
            base_url=f"http://{PANEL_ADDRESS}{PREFIX}/",
            headers={"authorization": f"Bearer {token}"},
        )

    people, tokens = await _people(parts.sessions, reviewer)
    people["client"], tokens["client"] = await asyncio.to_thread(instance.new_client)
    async with panel(tokens["reviewer"]) as colleague:
        await _end_right_of_deputy(colleague, people["deputy"])
        requests, half_id = await _requests(instance, tokens["client"], reviewer, colleague)
    temporal = await parts.temporal.client()
    yield World(instance, reviewer, temporal, panel, people, tokens, requests, half_id)
    await changed(reviewer.api, overrides=[])
    await parts.sandbox.aclose()
    await parts.sessions.kw["bind"].dispose()


def _parts_of(instance: Installed) -> Parts:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in instance.process_environment().items():
            patch.setenv(name, value)
        return build_parts(Settings(temporal_address=instance.temporal_address))


async def _people(sessions: Sessions, reviewer: Reviewer) -> tuple[dict[str, str], dict[str, str]]:
    """``{who: user name}`` and ``{who: token}``; signed in without a password, which costs time."""
    now = datetime.now(UTC)
    names = {"admin": "admin"}
    tokens = {"admin": reviewer.api.headers["authorization"].removeprefix("Bearer ")}
    async with transaction(sessions) as session:
        for who, role in _ROLES.items():
            names[who], tokens[who] = f"{who[:3]}{uuid4().hex[:8]}", new_token("test")
            person = UserRow(
                id=uuid4(),
                username=names[who],
                password_hash="",
                roles=[role],
                active=who != "inactive",
                created_at=now,
            )
            session.add(person)
            await session.flush()
            session.add(
                SessionRow(
                    id=uuid4(),
                    user_id=person.id,
                    access_hash=token_hash(tokens[who]),
                    refresh_hash=token_hash(new_token("test")),
                    access_expires_at=now + timedelta(days=1),
                    refresh_expires_at=now + timedelta(days=1),
                    created_at=now,
                )
            )
    return names, tokens


async def _end_right_of_deputy(api: httpx.AsyncClient, deputy: str) -> None:
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {"deputy": deputy, "until": until}
    (await api.put("/delegations/mine", json=body)).raise_for_status()
    (await api.delete("/delegations/mine")).raise_for_status()


async def _requests(
    instance: Installed, token: str, reviewer: Reviewer, colleague: httpx.AsyncClient
) -> tuple[dict[str, dict[str, Any]], str]:
    """``{name: request}``, and the id of the decision on the one that wants two."""
    names = ("waiting", "separate", "half", "closed")
    async with author_on(instance, token=token) as author:
        drafts = {name: await author.draft() for name in names}
        servers = {name: draft.callable_name.partition("__")[0] for name, draft in drafts.items()}
        made = await changed(
            reviewer.api,
            overrides=[
                {"name": "apart", "servers": [servers["separate"]], "separation": "owner"},
                {"name": "two", "servers": [servers["half"]], "approvals": 2},
            ],
        )
        assert made.status_code == 200, made.text
        ids = {
            name: await author.ask(draft, sample_arguments={"a": 1})
            for name, draft in drafts.items()
        }
    requests = {name: await reviewer.when(ids[name], "awaiting_decision") for name in names}
    denied = await reviewer.decide(requests["closed"], "deny")
    assert denied.status_code == 201, denied.text
    half_id = str(uuid4())
    voted = await Reviewer(colleague).decide(requests["half"], id=half_id)
    assert voted.status_code == 201, voted.text
    assert voted.json()["state"] == "awaiting_decision", voted.text
    unknown = {"id": str(uuid4()), "workflow_id": "no-such-workflow"}
    requests["unknown"] = unknown | {"digest": requests["waiting"]["digest"]}
    return requests, half_id
