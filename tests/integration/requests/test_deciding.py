"""Deciding on a request, through every path there is."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from mcpbox.domain.audit import Action
from mcpbox.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    Refused,
    RequestFinished,
    StaleDigest,
)
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.requests import (
    Channel,
    DecideCommand,
    DecisionDraft,
    Outcome,
    RequestSummary,
    State,
    Verdict,
)
from mcpbox.domain.tools import Approval
from mcpbox.temporal import Message
from tests.factories import OTHER_DIGEST
from tests.integration.requests.conftest import ANA, AUTHOR, VIC, Office, a_decision
from tests.reviewing import eventually


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


async def test_requested_changes_keep_it_open_until_a_newer_version_takes_its_place(
    office: Office,
) -> None:
    tool = await office.draft()
    request = await office.asked(tool)
    await office.decide(request, Verdict.REQUEST_CHANGES)
    assert (await office.tools.get(tool.id)).approval is Approval.REJECTED

    revised = await office.tools.update(
        AUTHOR, tool.id, code="async def main(a: int = 2) -> int:\n    return a\n"
    )
    newer = await office.asked(revised)

    older = await office.when(request, State.SUPERSEDED)
    assert "v2" in older.state_reason
    assert (await office.decide(newer)).state is State.APPLIED


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

    await refusals(office, request, 1)
    found = await office.requests.get(request.id)
    assert (found.state, found.decisions) == (State.AWAITING_DECISION, [])


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
