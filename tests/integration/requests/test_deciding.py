"""Deciding on a request, through every path there is."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from mcpbox.domain.audit import Action
from mcpbox.domain.commands import DecideCommand, RetractCommand
from mcpbox.domain.comments import LineComment
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    Refused,
    RequestFinished,
    StaleDigest,
)
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.requests import Outcome, RequestSummary, State
from mcpbox.domain.tools import Approval
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.grants import HOST, live_grants
from mcpbox.temporal import Message
from tests.factories import OTHER_DIGEST
from tests.integration.requests.conftest import ADA, ANA, AUTHOR, VIC, Office, a_decision
from tests.reviewing import eventually

BETTER = "async def main(a: int = 2) -> int:\n    return a\n"
TWO_HOSTS = """import httpx

async def main() -> list[int]:
    urls = ("https://a.example/", "https://b.example/")
    return [httpx.get(url).status_code for url in urls]
"""


async def test_approving_releases_the_version_and_answers_when_it_is_done(office: Office) -> None:
    tool = await office.draft()
    request = await office.asked(tool, sample_arguments={"a": 2})

    outcome = await office.decide(request)

    assert outcome.state is State.APPLIED
    released = await office.tools.get(tool.id)
    assert released.released_version == 1
    assert released.approval is Approval.APPROVED


async def test_denying_releases_nothing_and_tells_the_author_why(office: Office) -> None:
    tool = await office.draft()
    request = await office.asked(tool)
    denial = a_decision(request, Verdict.DENY, reason="It does too much.")

    outcome = await office.decide(request, draft=denial)

    assert (outcome.state, outcome.state_reason) == (State.DENIED, "It does too much.")
    with pytest.raises(Conflict, match="It does too much"):
        await office.requests.request_publish(AUTHOR, tool.id)
    assert (await office.tools.get(tool.id)).approval is Approval.REJECTED


async def test_a_revision_goes_on_with_the_same_request_and_older_votes_count_no_more(
    office: Office,
) -> None:
    tool = await office.draft()
    request = await office.asked(tool)
    remark = LineComment(line=1, text="Name the unit.")
    asks = a_decision(request, Verdict.REQUEST_CHANGES).model_copy(update={"comments": (remark,)})
    await office.decide(request, draft=asks)
    assert (await office.tools.get(tool.id)).approval is Approval.REJECTED

    await office.tools.update(AUTHOR, tool.id, code=BETTER)
    again = await office.requests.request_publish(AUTHOR, tool.id, notes="In metres.")
    second = await office.when(request, State.AWAITING_DECISION)

    assert (again.id, second.round) == (request.id, 2)
    assert [one.number for one in second.rounds] == [1, 2]
    assert [one.version.number for one in second.rounds if one.version] == [1, 2]
    assert [(one.line, one.digest) for one in second.comments] == [(1, request.digest)]
    with pytest.raises(StaleDigest):
        await office.decide(request)
    assert (await office.decide(second)).state is State.APPLIED
    assert (await office.tools.get(tool.id)).released_version == 2
    assert len((await office.requests.get(request.id)).decisions) == 2


async def test_only_the_requester_revises_and_only_with_something_new(office: Office) -> None:
    tool = await office.draft()
    request = await office.asked(tool)
    stranger = AUTHOR.model_copy(update={"name": "stranger"})
    with pytest.raises(Conflict, match="Nothing differs"):
        await office.requests.revise(AUTHOR, request.id)
    await office.tools.update(AUTHOR, tool.id, code=BETTER)

    with pytest.raises(Refused):
        await office.requests.revise(stranger, request.id)

    assert (await office.requests.get(request.id)).round == 1


async def test_a_version_that_was_revised_away_can_be_asked_for_again(office: Office) -> None:
    """Its workflow id is taken by the request that has moved on to another digest."""
    tool = await office.draft()
    request = await office.asked(tool)
    await office.tools.update(AUTHOR, tool.id, code=BETTER)
    await office.requests.revise(AUTHOR, request.id)
    await office.when(request, State.AWAITING_DECISION)
    back = await office.tools.update(AUTHOR, tool.id, code=tool.current.code)

    fresh = await office.asked(back)

    assert fresh.id != request.id
    await office.when(request, State.SUPERSEDED)


async def test_a_vote_is_taken_back_while_nothing_is_decided(office: Office) -> None:
    request = await office.asked()
    await office.decide(request, Verdict.REQUEST_CHANGES)

    outcome = await office.requests.retract(ANA, Channel.API, request.id)

    assert outcome.state is State.AWAITING_DECISION
    [vote] = (await office.requests.get(request.id)).decisions
    assert vote.retracted_at is not None
    with pytest.raises(Conflict, match="no vote"):
        await office.requests.retract(ANA, Channel.API, request.id)


async def test_what_is_refused_of_a_bundle_is_not_granted(office: Office) -> None:
    request = await office.asked(await office.draft(TWO_HOSTS))
    unasked = a_decision(request).model_copy(update={"refused": ("c.example",)})
    with pytest.raises(Invalid, match="does not need"):
        await office.decide(request, draft=unasked)
    draft = a_decision(request).model_copy(update={"refused": ("b.example",)})

    outcome = await office.decide(request, draft=draft)

    assert outcome.state is State.APPLIED
    found = await office.requests.get(request.id)
    assert found.granted is not None
    assert found.granted.hosts == ("a.example",)
    async with office.database.sessions.begin() as session:
        held = await live_grants(session, request.server_id, HOST)
    assert list(held) == ["a.example"]


async def test_i2_a_repeated_decision_id_changes_nothing(office: Office) -> None:
    request = await office.asked()
    decision = a_decision(request)

    first = await office.decide(request, draft=decision)
    again = await office.decide(request, draft=decision)

    assert again == first
    assert len((await office.requests.get(request.id)).decisions) == 1


async def test_a_decision_id_may_be_any_text_and_stays_the_same_id() -> None:
    """Programs choose ids as they like; Postgres and Temporal get a UUID."""
    fields = {"verdict": "approve", "seen_digest": OTHER_DIGEST}

    first, again, other = (
        DecisionDraft.model_validate({"id": chosen, **fields}).id for chosen in ("a", "a", "b")
    )

    assert first == again != other


async def test_i2_the_first_terminal_decision_wins(office: Office) -> None:
    request = await office.asked()

    answers = await asyncio.gather(
        *(
            office.decide(request, Verdict.APPROVE if place % 2 else Verdict.DENY)
            for place in range(6)
        ),
        return_exceptions=True,
    )

    taken = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(taken) == 1
    assert all(isinstance(a, RequestFinished) for a in answers if not isinstance(a, Outcome))
    found = await office.requests.get(request.id)
    assert (found.state, len(found.decisions)) == (taken[0].state, 1)


@pytest.mark.parametrize("verdict", Verdict)
async def test_i2_a_terminal_state_is_left_never(office: Office, verdict: Verdict) -> None:
    request = await office.asked()
    await office.decide(request, Verdict.DENY)

    with pytest.raises(RequestFinished):
        await office.decide(request, verdict)
    with pytest.raises(RequestFinished):
        await office.requests.withdraw(AUTHOR, request.id)

    assert (await office.requests.get(request.id)).state is State.DENIED


CLIENT_AS_PERSON = Principal(
    kind=PrincipalKind.PERSON, name="laptop", roles=frozenset({Role.ADMIN})
)
FORBIDDEN: dict[str, tuple[Principal, dict[str, Any], type[DomainError]]] = {
    "i3: a client": (AUTHOR, {}, Refused),
    "i3: a client that calls itself a person": (CLIENT_AS_PERSON, {}, Refused),
    "no reviewing role": (VIC, {}, Refused),
    "a role that the database does not know": (
        VIC.model_copy(update={"roles": frozenset({Role.ADMIN})}),
        {},
        Refused,
    ),
    "a stale digest": (ANA, {"seen_digest": OTHER_DIGEST}, StaleDigest),
    "a denial without a reason": (ANA, {"verdict": Verdict.DENY, "reason": " "}, Invalid),
}


@pytest.mark.parametrize("why", FORBIDDEN)
async def test_i3_i4_a_forbidden_decision_is_refused_on_every_path(
    office: Office, why: str
) -> None:
    """Use case (so REST and panel), raw Temporal update, operator's signal: one rule."""
    by, changes, kind = FORBIDDEN[why]
    request = await office.asked()
    draft = a_decision(request).model_copy(update=changes)

    with pytest.raises(kind):
        await office.decide(request, by=by, draft=draft)
    command = DecideCommand(draft=draft, reviewer=by, channel=Channel.API)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await office.workflow(request).execute_update(Message.DECIDE, command)
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == kind.__name__
    await signal(office, request, {**draft.model_dump(mode="json"), "reviewer": by.name})

    await refusals(office, request, 2)
    found = await office.requests.get(request.id)
    assert (found.state, found.decisions) == (State.AWAITING_DECISION, [])


async def test_an_update_past_every_face_is_marked_so_whatever_it_claims(office: Office) -> None:
    request = await office.asked()
    asks = a_decision(request, Verdict.REQUEST_CHANGES)
    claiming = DecideCommand(draft=asks, reviewer=ANA, channel=Channel.PANEL)

    await office.workflow(request).execute_update(Message.DECIDE, claiming)
    taken_back = RetractCommand(by=ANA, channel=Channel.PANEL)
    await office.workflow(request).execute_update(Message.RETRACT, taken_back)

    [decision] = (await office.requests.get(request.id)).decisions
    assert decision.channel is Channel.TEMPORAL


async def test_an_update_past_every_face_forces_no_approval(office: Office) -> None:
    """Break-glass is for a signed-in admin, whom Temporal does not know."""
    request = await office.asked()
    forces = a_decision(request, reason="Production is down.").model_copy(
        update={"break_glass": True}
    )
    claiming = DecideCommand(draft=forces, reviewer=ADA, channel=Channel.PANEL)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await office.workflow(request).execute_update(Message.DECIDE, claiming)

    assert "needs a signed-in admin" in str(refused.value.cause)
    found = await office.requests.get(request.id)
    assert (found.state, found.decisions) == (State.AWAITING_DECISION, [])


async def test_i2_the_id_of_a_decision_stands_for_no_other(office: Office) -> None:
    request = await office.asked()
    decision = a_decision(request, Verdict.REQUEST_CHANGES)
    await office.decide(request, draft=decision)

    with pytest.raises(Conflict, match="has this id already"):
        await office.decide(request, draft=decision.model_copy(update={"verdict": Verdict.APPROVE}))
    with pytest.raises(Conflict, match="has this id already"):
        await office.decide(request, by=ADA, draft=decision)
    command = DecideCommand(draft=decision, reviewer=ADA, channel=Channel.API)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await office.workflow(request).execute_update(Message.DECIDE, command)

    assert "has this id already" in str(refused.value.cause)
    assert len((await office.requests.get(request.id)).decisions) == 1


async def test_an_operator_decides_by_signal_and_it_is_marked_so(office: Office) -> None:
    request = await office.asked()

    await signal(
        office,
        request,
        {
            "verdict": "approve",
            "reviewer": "ana",
            "reason": "Read it.",
            "seen_digest": request.digest,
        },
    )

    applied = await office.when(request, State.APPLIED)
    assert [d.channel for d in applied.decisions] == [Channel.TEMPORAL]


MALFORMED: list[list[Any]] = [
    [],
    [None],
    [1],
    ["approve"],
    [[1, 2]],
    [{"verdict": "approve"}],
    [{"verdict": "maybe", "reviewer": "ana", "seen_digest": "sha256:" + "0" * 64}],
    [{"verdict": "approve", "reviewer": "ana", "seen_digest": "short", "reason": ""}],
    [{"verdict": "approve", "reviewer": {"name": "ana"}, "seen_digest": 1}],
    [{"verdict": "approve"}, 2],
]


@pytest.mark.parametrize("given", MALFORMED, ids=json.dumps)
async def test_a_malformed_signal_is_refused_on_the_request_and_wedges_nothing(
    office: Office, given: list[Any]
) -> None:
    request = await office.asked()

    await office.workflow(request).signal(Message.DECIDE, args=given)
    await office.workflow(request).signal("no-such-signal", args=given)
    await office.workflow(request).signal(Message.SUPERSEDE, args=[given])

    assert len(await refusals(office, request, 3)) == 3
    assert (await office.decide(request)).state is State.APPLIED


async def test_bad_input_by_update_is_an_answer_and_leaves_no_trace(office: Office) -> None:
    request = await office.asked()
    workflow = office.workflow(request)
    before = len((await workflow.fetch_history()).events)

    for given in ([], [{"draft": 1}], ["x", "y"]):
        with pytest.raises(WorkflowUpdateFailedError):
            await workflow.execute_update(Message.DECIDE, args=given)

    assert len((await workflow.fetch_history()).events) == before
    assert (await office.decide(request)).state is State.APPLIED


async def signal(office: Office, request: RequestSummary, payload: dict[str, Any]) -> None:
    await office.workflow(request).signal(Message.DECIDE, payload | {"id": str(uuid4())})


async def refusals(office: Office, request: RequestSummary, count: int) -> list[str]:
    async def recorded() -> list[str] | None:
        history = (await office.requests.get(request.id)).history
        found = [entry.detail for entry in history if entry.action == Action.DECISION_REFUSED]
        return found if len(found) >= count else None

    return await eventually(recorded)
