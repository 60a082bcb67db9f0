"""Asking for a host: what people see, what approving opens, and how it ends."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import select, update

from mcpbox.domain.base import PageRequest, utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.evidence import Check, Risk, Status
from mcpbox.domain.grants import Grant, GrantState
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import RequestId, ServerId
from mcpbox.domain.people import Principal, PrincipalKind, Role, Scope
from mcpbox.domain.requests import RequestDetail, RequestSummary, State
from mcpbox.domain.tools import ToolDetail
from mcpbox.domain.verdicts import Verdict
from mcpbox.news import Ear, RequestNews
from mcpbox.policies.call import may_call
from mcpbox.receipts import unverified
from mcpbox.store.catalog import load_callables
from mcpbox.store.tables.audit import AuditRow
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.usecases.network import Network
from mcpbox.usecases.requests import Requests
from tests.integration.requests.conftest import ANA, AUTHOR, VIC, GateTo, Office, a_decision

OTTO = Principal(kind=PrincipalKind.PERSON, name="otto", roles=frozenset({Role.OPERATOR}))
REACHES_OUT = (
    "async def main() -> int:\n"
    "    return (await http.get('https://api.example.com/v1/x')).status_code\n"
)
READS = HostAccess(host="api.example.com", methods=("GET",), path_prefix="/v1")
PAGE = PageRequest()


async def asked(
    office: Office, server: ServerId, access: HostAccess = READS, *, days: int | None = None
) -> RequestDetail:
    request = await office.network.request_access(
        AUTHOR, server, access, days=days, justification="The weather is there."
    )
    return await office.when(request, State.AWAITING_DECISION)


async def granted(
    office: Office, server: ServerId, access: HostAccess = READS, *, days: int | None = None
) -> RequestSummary:
    request = await asked(office, server, access, days=days)
    assert (await office.decide(request)).state is State.APPLIED
    return request


async def only_grant(office: Office, server: ServerId) -> Grant:
    [grant] = (await office.grants.list(server, PAGE, ended=True)).items
    return grant


async def released(office: Office) -> ToolDetail:
    """A tool that needs the host and was published once that was granted."""
    tool = await office.draft(REACHES_OUT)
    await granted(office, tool.server_id, days=7)
    await office.decide(await office.asked(tool))
    return await office.tools.get(tool.id)


async def callable_now(office: Office, tool: ToolDetail) -> CallableTool:
    async with office.database.sessions() as session:
        found = await load_callables(session)
    return next(one for one in found if one.version.tool_id == tool.id)


CALLER = AUTHOR.model_copy(update={"scopes": frozenset({Scope.CALL})})


async def test_reviewers_see_how_much_of_the_host_is_asked_for_and_who_names_it(
    office: Office,
) -> None:
    tool = await office.draft(REACHES_OUT)

    request = await asked(office, tool.server_id, days=7)

    assert request.title.startswith("api.example.com for s")
    assert (request.access, request.days) == (READS, 7)
    [piece] = request.evidence
    assert (piece.check, piece.status) == (Check.HOST, Status.WARNING)
    assert piece.facts["Methods"] == "GET"
    assert piece.facts["Path"] == "below /v1/"
    assert piece.facts["Holds"] == "for 7 days"
    assert piece.facts["Tools that name it"] == "count"
    assert request.risk is Risk.MEDIUM


@pytest.mark.parametrize(
    ("host", "title"),
    [
        ("nas.local", "Private host"),
        ("10.0.0.7", "Private host"),
        ("8.8.8.8", "Bare address"),
        ("xn--e1awd7f.com", "Look-alike"),
    ],
)
async def test_an_unusual_host_is_shown_as_such(office: Office, host: str, title: str) -> None:
    server = (await office.draft()).server_id

    request = await asked(office, server, HostAccess(host=host))

    assert title in {finding.title for finding in request.evidence[0].findings}
    assert request.risk is Risk.HIGH


async def test_only_what_was_approved_is_reached_and_the_receipt_says_so(office: Office) -> None:
    tool = await released(office)

    now = await callable_now(office, tool)

    assert now.granted.hosts == {"GET api.example.com/v1"}
    assert may_call(now, CALLER, utc_now())
    receipt = unverified(now.receipt or "")
    [host] = receipt.hosts
    grant = await only_grant(office, tool.server_id)
    assert (host.value, host.until) == ("GET api.example.com/v1", grant.expires_at)


async def test_a_granted_host_is_not_asked_for_again_with_the_publication(office: Office) -> None:
    tool = await office.draft(REACHES_OUT)
    before = await office.requests.get((await office.asked(tool)).id)
    await granted(office, tool.server_id)
    other = await office.tools.create(
        AUTHOR, tool.server_id, name="other", code=REACHES_OUT, description="Another."
    )

    after = await office.requests.get((await office.asked(other)).id)

    assert before.needs.hosts == ("api.example.com",)
    assert after.needs.hosts == ()


async def test_an_end_takes_effect_at_its_moment_whoever_is_late(office: Office) -> None:
    tool = await released(office)
    now = await callable_now(office, tool)
    ends_at = (await only_grant(office, tool.server_id)).expires_at
    assert ends_at is not None

    assert may_call(now, CALLER, ends_at - timedelta(seconds=1))
    assert "not granted any more" in may_call(now, CALLER, ends_at).reason


async def test_the_timer_ends_the_grant_once_and_says_so(office: Office) -> None:
    tool = await released(office)
    grant = await only_grant(office, tool.server_id)
    timer = office.env.client.get_workflow_handle(f"grant/{grant.id}")
    assert grant.state is GrantState.LIVE

    await office.env.fast_forward(timer, timedelta(days=8))
    await timer.result()

    ended = await only_grant(office, tool.server_id)
    assert ended.state is GrantState.EXPIRED
    assert (
        "not granted any more"
        in may_call(await callable_now(office, tool), CALLER, utc_now()).reason
    )
    assert await events(office, tool.server_id) == ["catalog:grant:ended"]


async def test_a_timer_that_comes_after_a_revocation_changes_nothing(office: Office) -> None:
    tool = await released(office)
    grant = await only_grant(office, tool.server_id)
    await office.grants.revoke(ANA, grant.id, "It leaks.")
    timer = office.env.client.get_workflow_handle(f"grant/{grant.id}")

    await office.env.fast_forward(timer, timedelta(days=8))
    await timer.result()

    kept = await only_grant(office, tool.server_id)
    assert (kept.state, kept.revoke_reason) == (GrantState.REVOKED, "It leaks.")
    assert await events(office, tool.server_id) == ["catalog:grant:revoked"]


async def test_a_tool_comes_back_when_its_host_is_granted_again(office: Office) -> None:
    tool = await released(office)
    grant = await only_grant(office, tool.server_id)
    await office.grants.revoke(OTTO, grant.id, "Not now.")
    assert not may_call(await callable_now(office, tool), CALLER, utc_now())

    await granted(office, tool.server_id)

    now = await callable_now(office, tool)
    assert may_call(now, CALLER, utc_now())
    assert [host.until for host in unverified(now.receipt or "").hosts] == [None]


@pytest.mark.parametrize(
    ("by", "reason", "error"),
    [
        (AUTHOR, "x", Refused),
        (VIC, "x", Refused),
        (ANA, " ", Invalid),
    ],
)
async def test_a_grant_is_revoked_by_people_with_the_role_and_a_reason_alone(
    office: Office, by: Principal, reason: str, error: type[Exception]
) -> None:
    server = (await office.draft()).server_id
    await granted(office, server)
    grant = await only_grant(office, server)

    with pytest.raises(error):
        await office.grants.revoke(by, grant.id, reason)

    assert (await only_grant(office, server)).state is GrantState.LIVE


async def test_what_is_granted_or_denied_is_not_asked_for_again(office: Office) -> None:
    server = (await office.draft()).server_id
    request = await asked(office, server)
    again = await asked(office, server)
    await office.decide(request, draft=a_decision(request, Verdict.DENY, reason="Use the cache."))
    with pytest.raises(Conflict, match="Use the cache"):
        await asked(office, server)
    whole = HostAccess(host="api.example.com")
    await granted(office, server, whole)

    with pytest.raises(Conflict, match="already"):
        await asked(office, server, HostAccess(host="api.example.com", methods=("POST",)))

    assert again.id == request.id


class Deaf(RequestNews):
    """Who waits for news here has waited in vain."""

    @contextmanager
    def of(self, request_id: RequestId) -> Generator[Ear]:
        with super().of(request_id) as ear:
            ear.next = AsyncMock(side_effect=AssertionError("It waits for news."))
            yield ear


async def test_who_asks_for_what_is_on_record_waits_for_no_news(office: Office) -> None:
    sessions = office.database.sessions
    deaf = Requests(sessions, GateTo(office.env.client), ttl=timedelta(days=7), news=Deaf())
    network = Network(sessions, deaf)
    server = (await office.draft()).server_id
    request = await asked(office, server)

    again = await network.request_access(AUTHOR, server, READS, justification="Again.")
    with pytest.raises(AssertionError, match="waits for news"):
        await network.request_access(
            AUTHOR, server, HostAccess(host="b.example.com"), justification="Another."
        )

    assert (again.id, again.state) == (request.id, State.AWAITING_DECISION)


async def test_a_deleted_server_is_asked_for_nothing(office: Office) -> None:
    server = await office.servers.create(AUTHOR, name="shortlived", description="Gone soon.")
    await office.deletion.delete(AUTHOR, ServerId(server.id), "Not needed.")

    with pytest.raises(NotFound):
        await asked(office, ServerId(server.id))


async def test_a_longer_grant_takes_the_place_of_a_shorter_one(office: Office) -> None:
    server = (await office.draft()).server_id
    await granted(office, server, days=1)
    await granted(office, server, days=7)

    grants = (await office.grants.list(server, PAGE, ended=True)).items

    assert [grant.state for grant in grants] == [GrantState.LIVE, GrantState.REVOKED]
    assert grants[0].expires_at is not None
    assert grants[0].expires_at > utc_now() + timedelta(days=6)


async def test_people_may_shorten_how_long_it_holds(office: Office) -> None:
    server = (await office.draft()).server_id
    request = await asked(office, server, days=30)
    shorter = a_decision(request).model_copy(update={"granted_days": 2})

    await office.decide(request, draft=shorter)

    assert (await office.requests.get(request.id)).days == 2
    grant = await only_grant(office, server)
    assert grant.expires_at is not None
    assert grant.expires_at < utc_now() + timedelta(days=2, minutes=1)


async def test_a_request_whose_host_was_changed_after_the_approval_grants_nothing(
    office: Office,
) -> None:
    server = (await office.draft()).server_id
    request = await asked(office, server)
    async with office.database.sessions() as session:
        row = await session.get_one(RequestRow, request.id)
        wider = row.subject | {"access": {"host": "evil.example"}}
    await change(office, request, subject=wider)

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "not what was approved" in outcome.state_reason
    assert (await office.grants.list(server, PAGE, ended=True)).total == 0


async def test_a_release_whose_grant_ended_before_it_was_applied_is_not_made(
    office: Office,
) -> None:
    """I5: what is granted is looked at again in the transaction that releases."""
    tool = await office.draft(REACHES_OUT)
    await granted(office, tool.server_id, days=7)
    request = await office.asked(tool)
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(GrantRow)
            .where(GrantRow.server_id == tool.server_id)
            .values(expires_at=utc_now() - timedelta(seconds=1))
        )

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    async with office.database.sessions() as session:
        found = select(ReleaseRow).where(ReleaseRow.tool_id == tool.id)
        assert await session.scalar(found) is None


async def change(office: Office, request: RequestSummary, **values: Any) -> None:
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(RequestRow).where(RequestRow.id == request.id).values(**values)
        )


async def events(office: Office, server: ServerId) -> list[str]:
    async with office.database.sessions() as session:
        found = await session.scalars(
            select(AuditRow.action)
            .where(AuditRow.subject == f"server:{server}", AuditRow.action.like("catalog:grant%"))
            .order_by(AuditRow.sequence)
        )
        return list(found)


async def test_a_request_for_a_host_is_not_revised_and_says_what_to_do_instead(
    office: Office,
) -> None:
    request = await asked(office, (await office.draft()).server_id)

    with pytest.raises(Invalid, match="Withdraw it, then ask"):
        await office.requests.revise(AUTHOR, request.id)
