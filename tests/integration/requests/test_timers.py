"""What happens by itself when its hour has come: reminders, escalation, expiry, lapse."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Refused, RequestFinished
from mcpbox.domain.modules import Requirement
from mcpbox.domain.requests import Outcome, RequestDetail, RequestSummary, State
from mcpbox.domain.review import Requirements
from mcpbox.domain.review_policy import ReviewPolicy
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store import people
from mcpbox.store.tables.people import DelegationRow
from tests.integration.requests import hosts_asked
from tests.integration.requests.conftest import ADA, ANA, AUTHOR, VIC, Office
from tests.integration.requests.shifts import own_queue, shift
from tests.integration.requests.test_policy import policy_in_force
from tests.reviewing import eventually

DAY = timedelta(days=1)
MOMENT = timedelta(seconds=5)


async def asked(office: Office, **requirements: Any) -> RequestDetail:
    """For a host, under a policy that says this; nothing is run to examine it."""
    await policy_in_force(office, ReviewPolicy(requirements=Requirements(**requirements)))
    return await hosts_asked.asked(office, await hosts_asked.a_server(office))


async def passes(office: Office, request: RequestSummary, time: timedelta) -> None:
    """On the clock of this request; what is due by then has happened."""
    await office.env.fast_forward(office.workflow(request), time)


async def events(office: Office, request: RequestSummary) -> list[tuple[str, str]]:
    """``[(action, detail)]`` since people could decide, oldest first."""
    told = [(e.action, e.detail) for e in (await office.requests.get(request.id)).history]
    presented = [action for action, _ in told].index(Action.REQUEST_PRESENTED)
    return told[presented + 1 :]


async def told(
    office: Office, request: RequestSummary, expected: Sequence[tuple[str, str]]
) -> None:
    async def happened() -> bool:
        return len(await events(office, request)) >= len(expected)

    await eventually(happened)
    assert await events(office, request) == list(expected)


async def test_deciders_are_reminded_and_then_somebody_else_is_told_who_may_decide_as_well(
    office: Office,
) -> None:
    request = await asked(
        office,
        reminders=(DAY, 2 * DAY),
        escalate_after=3 * DAY,
        escalate_to=(VIC.name,),
    )
    first = (Action.REQUEST_REMINDED, "reminder 1")
    second = (Action.REQUEST_REMINDED, "reminder 2")
    refused = (
        Action.DECISION_REFUSED,
        "Deciding needs the role reviewer or admin; ask an admin for it.",
    )
    escalated = (Action.REQUEST_ESCALATED, f"to {VIC.name}")

    await passes(office, request, DAY + MOMENT)
    await told(office, request, [first])
    await passes(office, request, DAY)
    await told(office, request, [first, second])
    with pytest.raises(Refused, match="needs the role"):
        await office.decide(request, by=VIC)
    await passes(office, request, DAY)
    await told(office, request, [first, second, refused, escalated])

    assert (await office.requests.get(request.id)).state is State.AWAITING_DECISION
    assert (await office.decide(request, by=VIC)).state is State.APPLIED


async def test_at_the_end_of_its_time_a_request_expires_whatever_votes_it_has(
    office: Office,
) -> None:
    request = await asked(office, approvals=2, ttl=2 * DAY)
    assert (await office.decide(request, by=ANA)).state is State.AWAITING_DECISION

    await passes(office, request, 2 * DAY + MOMENT)

    expired = await office.when(request, State.EXPIRED)
    assert len(expired.decisions) == 1
    assert (await events(office, request))[-1] == (
        Action.REQUEST_CLOSED,
        "expired: Nobody decided in time.",
    )
    with pytest.raises(RequestFinished):
        await office.decide(request, by=ADA)


async def test_an_approval_that_cannot_be_applied_in_its_window_lapses(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox, where its packages would be installed, is away for the whole of it.

    No clock is moved while an activity is tried: the window is shorter than a policy's may be.
    """
    monkeypatch.setattr("mcpbox.domain.review_policy._SHORTEST", timedelta(0))
    office.index.add("shout", files={"shout.py": "def shout(text): return text.upper()\n"})
    window = Requirements(execution_window=timedelta(seconds=2))
    await policy_in_force(office, ReviewPolicy(requirements=window))
    nowhere = SandboxClient(
        url="http://sandbox", api_key=SecretStr("k" * 32), socket="/nowhere/sandbox.sock"
    )
    server = (await office.draft()).server_id
    async with shift(office, own_queue(monkeypatch), sandbox=nowhere):
        request = await office.requests.request_module(
            AUTHOR, server, Requirement(module="shout", package="shout")
        )
        waiting = await office.when(request, State.AWAITING_DECISION)
        outcome = await office.decide(waiting)
    await nowhere.aclose()
    await policy_in_force(office, ReviewPolicy())

    assert outcome.state is State.EXPIRED
    assert "could not be applied within 0:00:02" in outcome.state_reason
    assert (await events(office, request))[-1] == (
        Action.REQUEST_CLOSED,
        f"expired: {outcome.state_reason}",
    )
    assert (await office.servers.modules(server)).granted == ()
    again = await office.requests.request_module(
        AUTHOR, server, Requirement(module="shout", package="shout")
    )
    assert again.id != request.id


async def test_a_deputy_decides_until_the_moment_that_the_delegation_ends(office: Office) -> None:
    request = await asked(office)
    await office.reviewing.delegate(ANA, VIC.name, utc_now() + DAY)
    async with office.database.sessions.begin() as session:
        deputy = await people.find_reviewer(session, VIC.name)
        assert deputy is not None
        assert [away.name for away in deputy.stands_in_for] == [ANA.name]
        await session.execute(update(DelegationRow).values(until=utc_now()))

    # What this face knew of the deputy is out of date; the rule asks again.
    with pytest.raises(Refused, match="needs the role"):
        await office.decide(request, by=deputy)

    assert (await office.requests.get(request.id)).decisions == []


@pytest.mark.parametrize("quorum", [1, 2])
async def test_a_decision_at_the_moment_of_expiry_counts_whole_or_not_at_all(
    office: Office, monkeypatch: pytest.MonkeyPatch, quorum: int
) -> None:
    """Both wait for the worker, which finds them together."""
    queue = own_queue(monkeypatch)
    async with shift(office, queue):
        request = await asked(office, approvals=quorum)
    await office.env.fast_forward(office.workflow(request), 7 * DAY)
    deciding = asyncio.create_task(office.decide(request))
    async with shift(office, queue):
        [answer] = await asyncio.gather(deciding, return_exceptions=True)
        ended = await office.when(request, State.APPLIED, State.EXPIRED)

    if isinstance(answer, RequestFinished):
        assert (ended.state, ended.decisions) == (State.EXPIRED, [])
    else:
        assert isinstance(answer, Outcome)
        assert len(ended.decisions) == 1
        assert ended.state is (State.APPLIED if quorum == 1 else State.EXPIRED)
    outcome = await office.workflow(request).result()
    assert Outcome.model_validate(outcome).state is ended.state


async def test_a_reminder_that_is_due_while_people_decide_disturbs_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = own_queue(monkeypatch)
    async with shift(office, queue):
        request = await asked(office, reminders=(DAY,))
    await office.env.fast_forward(office.workflow(request), DAY)
    deciding = asyncio.create_task(office.decide(request))
    async with shift(office, queue):
        assert (await deciding).state is State.APPLIED

    actions = [action for action, _ in await events(office, request)]
    assert actions.count(Action.REQUEST_APPLIED) == 1
    # Nobody is reminded of what is decided already.
    if Action.REQUEST_REMINDED in actions:
        assert actions.index(Action.REQUEST_REMINDED) < actions.index(Action.DECISION_ADDED)
