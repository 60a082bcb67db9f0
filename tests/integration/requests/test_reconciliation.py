"""What an operator does to a workflow by force: the projection follows, once."""

import asyncio
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import delete, func, select, update
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.testing import ActivityEnvironment

from activities import reconciliation
from mcpbox.domain.audit import Action
from mcpbox.domain.decisions import Channel
from mcpbox.domain.requests import Outcome, RequestDetail, RequestSummary, State
from mcpbox.domain.review_policy import Requirements, ReviewPolicy
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.tables.evidence import EvidenceRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.requests import RequestRow, RoundRow
from mcpbox.temporal import TASK_QUEUE, Message
from tests.integration.requests.conftest import ADA, ANA, AUTHOR, Office, a_decision
from tests.integration.requests.shifts import recorded_unheard
from tests.integration.requests.test_deciding import refusals
from tests.integration.requests.test_operator_input import waiting_again
from tests.integration.requests.test_policy import policy_in_force
from tests.reviewing import eventually
from workflows.reconciliation import RECONCILE, Look, Seen

_TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
TWO_PEOPLE = ReviewPolicy(requirements=Requirements(approvals=2))


async def look(office: Office) -> Seen:
    return await office.env.client.execute_workflow(
        RECONCILE, id=f"look-{uuid4()}", task_queue=TASK_QUEUE, result_type=Seen
    )


async def seen_as(office: Office, request: RequestSummary, state: State) -> RequestDetail:
    async def shown() -> RequestDetail | None:
        await look(office)
        found = await office.requests.get(request.id)
        return found if found.state is state else None

    return await eventually(shown)


async def reset(
    office: Office, request: RequestSummary, after: EventType.ValueType, *, last: bool = False
) -> None:
    """As ``temporal workflow reset`` does it: to the end of the first workflow task, or the last.

    What was sent to it after that is sent again, to the new run.
    """
    client, workflow = office.env.client, office.workflow(request)
    events = [event async for event in workflow.fetch_history_events()]
    found = [event.event_id for event in events if event.event_type == after]
    event_id = found[-1] if last else found[0]
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=request.workflow_id),
            reason="It was stuck.",
            workflow_task_finish_event_id=event_id,
            request_id=str(uuid4()),
        )
    )


async def releases(office: Office, request: RequestSummary) -> int:
    async with office.database.sessions.begin() as session:
        found = select(func.count()).where(ReleaseRow.request_id == request.id)
        return await session.scalar(found) or 0


async def test_a_terminated_request_is_shown_as_withdrawn_and_by_what(office: Office) -> None:
    request = await office.asked()
    other = await office.asked()

    await office.workflow(request).terminate(reason="asked for by mistake")
    withdrawn = await seen_as(office, request, State.WITHDRAWN)

    assert withdrawn.state_reason == (
        "Its workflow was terminated by an operator: asked for by mistake."
    )
    assert withdrawn.history[-1].actor == "system:temporal"
    assert (await office.requests.get(other.id)).state is State.AWAITING_DECISION


async def test_a_request_that_was_approved_when_it_was_terminated_failed_to_apply(
    office: Office,
) -> None:
    request = await office.asked()
    await office.workflow(request).terminate()
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(RequestRow).where(RequestRow.id == request.id).values(state=State.APPROVED)
        )

    failed = await seen_as(office, request, State.APPLY_FAILED)

    assert "terminated by an operator" in failed.state_reason
    assert failed.state_reason.endswith("before it was applied.")


async def test_a_terminated_request_that_was_reset_goes_on_waiting(office: Office) -> None:
    request = await office.asked()
    await office.workflow(request).terminate()
    await reset(office, request, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    await waiting_again(office, request)

    for _ in range(3):
        await look(office)

    assert (await office.requests.get(request.id)).state is State.AWAITING_DECISION
    assert (await office.decide(request)).state is State.APPLIED


async def test_a_request_that_was_applied_and_then_reset_is_not_applied_again(
    office: Office,
) -> None:
    """To its beginning: Temporal sends the decision again to the new run (I2)."""
    request = await office.asked()
    await office.workflow(request).signal(
        Message.DECIDE,
        {"verdict": "approve", "reviewer": "ana", "reason": "", "seen_digest": request.digest},
    )
    await office.when(request, State.APPLIED)

    await reset(office, request, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    await office.workflow(request).result()

    found = await office.requests.get(request.id)
    assert (found.state, len(found.decisions)) == (State.APPLIED, 1)
    assert await releases(office, request) == 1


async def test_a_request_that_got_stuck_after_its_decision_is_applied_once_by_a_reset(
    office: Office,
) -> None:
    """The decision is on record and its effect is not: what a wedged workflow leaves behind."""
    request = await office.asked()
    await office.decide(request)
    async with office.database.sessions.begin() as session:
        await session.execute(delete(ReleaseRow).where(ReleaseRow.request_id == request.id))
        await session.execute(
            update(RequestRow).where(RequestRow.id == request.id).values(state=State.APPROVED)
        )

    await reset(office, request, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)

    await office.when(request, State.APPLIED)
    assert await releases(office, request) == 1
    assert len((await office.requests.get(request.id)).decisions) == 1


async def test_a_waiting_request_that_is_reset_waits_again_and_is_decided_once(
    office: Office,
) -> None:
    request = await office.asked()
    await reset(office, request, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    await waiting_again(office, request)
    draft = a_decision(request)

    await asyncio.gather(*(office.decide(request, draft=draft) for _ in range(2)))

    found = await office.requests.get(request.id)
    assert (found.state, len(found.decisions)) == (State.APPLIED, 1)


async def test_a_reset_keeps_the_votes_and_what_they_led_to(office: Office) -> None:
    """Temporal sends them again to the new run, which finds them on record."""
    request = await office.asked()
    await office.decide(request, Verdict.REQUEST_CHANGES)

    await reset(office, request, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)

    async def stands() -> bool:
        outcome = await office.workflow(request).query("outcome", result_type=Outcome)
        return outcome.state is State.CHANGES_REQUESTED

    await eventually(stands)
    found = await office.requests.get(request.id)
    assert (found.state, found.state_reason) == (State.CHANGES_REQUESTED, "Read it.")
    assert [vote.verdict for vote in found.decisions] == [Verdict.REQUEST_CHANGES]
    assert (await office.decide(request)).state is State.APPLIED


async def test_a_vote_that_was_taken_back_stays_so_however_often_its_signal_is_sent_again(
    office: Office,
) -> None:
    """Two resets, one after the other, as the runbook has them: each random id would be anew."""
    await policy_in_force(office, TWO_PEOPLE)
    request = await office.asked()
    await waiting_again(office, request)
    await reset(office, request, _TASK_COMPLETED, last=True)
    await waiting_again(office, request)
    signalled = {"verdict": "approve", "reviewer": "ana", "seen_digest": request.digest}
    await office.workflow(request).signal(Message.DECIDE, signalled | {"reason": "Read it."})
    await eventually(partial(_is_recorded, office, request))
    await office.requests.retract(ANA, Channel.API, request.id)

    await reset(office, request, _TASK_COMPLETED)
    await waiting_again(office, request)
    await eventually(partial(_has_done, office, request, {"record_decision"}))
    outcome = await office.decide(request, by=ADA)

    assert outcome.state is State.AWAITING_DECISION
    found = await office.requests.get(request.id)
    assert [(vote.reviewer, vote.retracted_at is None) for vote in found.decisions] == [
        ("ana", False),
        ("ada", True),
    ]
    # Sent by a person and not by a reset, the same is a new vote.
    await office.workflow(request).signal(Message.DECIDE, signalled | {"reason": "Read it."})
    await office.when(request, State.APPLIED)
    await policy_in_force(office, ReviewPolicy())


async def _is_recorded(office: Office, request: RequestSummary) -> bool:
    return bool((await office.requests.get(request.id)).decisions)


async def _has_done(office: Office, request: RequestSummary, activities: set[str]) -> bool:
    """All of these, as often as they were begun, whether or not they succeeded."""
    events = (await office.workflow(request).fetch_history()).events
    begun = {
        event.event_id: name
        for event in events
        if (name := event.activity_task_scheduled_event_attributes.activity_type.name) in activities
    }
    done = {
        ended.scheduled_event_id
        for event in events
        for ended in (
            event.activity_task_completed_event_attributes,
            event.activity_task_failed_event_attributes,
        )
    }
    return set(begun.values()) == activities and set(begun) <= done


async def test_a_reset_of_what_has_ended_refuses_no_vote_that_led_there(office: Office) -> None:
    await policy_in_force(office, TWO_PEOPLE)
    request = await office.asked()
    for reviewer in ("ana", "ada"):
        signalled = {"verdict": "approve", "reviewer": reviewer, "seen_digest": request.digest}
        await office.workflow(request).signal(Message.DECIDE, signalled | {"reason": "Read it."})
    await office.when(request, State.APPLIED)
    await office.workflow(request).result()

    await reset(office, request, _TASK_COMPLETED)
    await office.workflow(request).result()

    found = await office.requests.get(request.id)
    assert found.state is State.APPLIED
    assert [vote.reviewer for vote in found.decisions] == ["ana", "ada"]
    assert Action.DECISION_REFUSED not in [entry.action for entry in found.history]
    await policy_in_force(office, ReviewPolicy())


async def test_what_nothing_newer_supersedes_waits_on(office: Office) -> None:
    """Whatever is sent: the record says what there is."""
    request = await office.asked()

    await office.workflow(request).signal(Message.SUPERSEDE, "publish something_else")

    [told] = await refusals(office, request, 1)
    assert "Nothing newer is asked for" in told
    assert (await office.decide(request)).state is State.APPLIED


async def test_a_reset_goes_on_with_what_was_asked_last(office: Office) -> None:
    """The revision was a message, which the new run refuses as it comes too early."""
    tool = await office.draft()
    request = await office.asked(tool)
    newer = await office.tools.update(AUTHOR, tool.id, description="Counts better.")
    await office.requests.revise(AUTHOR, request.id)
    await office.when(request, State.AWAITING_DECISION)
    await waiting_again(office, request)

    await reset(office, request, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    await waiting_again(office, request)

    found = await office.requests.get(request.id)
    assert (found.round, found.digest) == (2, newer.current.digest)
    assert {piece.digest for piece in found.evidence} == {newer.current.digest}
    assert (await office.decide(found)).state is State.APPLIED
    assert (await office.tools.get(tool.id)).released_version == 2


async def test_a_running_request_that_is_on_no_record_is_taken_up_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the database was put back from an older backup; no signal ends it meanwhile."""
    await office.asked()
    request = await office.asked()
    mine = f" AND WorkflowId = '{request.workflow_id}'"
    monkeypatch.setattr(reconciliation, "RUNNING", reconciliation.RUNNING + mine)
    monkeypatch.setattr(reconciliation, "LAG", reconciliation.LAG * 0)
    async with office.database.sessions.begin() as session:
        for row in (EvidenceRow, RoundRow):
            await session.execute(delete(row).where(row.request_id == request.id))
        await session.execute(delete(RequestRow).where(RequestRow.id == request.id))
    for message in (Message.SUPERSEDE, Message.CATCH_UP):
        await office.workflow(request).signal(message, "of an operator")
    await eventually(partial(_has_done, office, request, {"find_successor", "look_up"}))
    looking = reconciliation.ReconciledRequests(office.database.sessions)

    seen = await ActivityEnvironment(office.env.client).run(looking.reconcile, Look(differed=True))

    assert seen.restarted == 1
    await waiting_again(office, request)
    assert (await office.decide(request)).state is State.APPLIED


@pytest.mark.parametrize(
    ("verdict", "state"), [(Verdict.APPROVE, State.APPLIED), (Verdict.DENY, State.DENIED)]
)
async def test_a_request_whose_end_only_its_record_knows_ends_all_the_same(
    office: Office, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, state: State
) -> None:
    """As it is when worker and server end between its transaction and its place in the history."""
    request = await office.asked()
    await recorded_unheard(office, request, verdict)
    knows = await office.workflow(request).query("outcome", result_type=Outcome)
    assert knows.state is State.AWAITING_DECISION
    mine = f" AND WorkflowId = '{request.workflow_id}'"
    monkeypatch.setattr(reconciliation, "RUNNING", reconciliation.RUNNING + mine)
    monkeypatch.setattr(reconciliation, "LAG", reconciliation.LAG * 0)
    looking = reconciliation.ReconciledRequests(office.database.sessions)

    seen = await ActivityEnvironment(office.env.client).run(looking.reconcile, Look(differed=True))

    assert seen.caught_up == 1
    ended = await office.workflow(request).result()
    assert ended["state"] == state
    after = await office.requests.get(request.id)
    assert (after.state, len(after.decisions)) == (state, 1)
    assert await releases(office, request) == (state is State.APPLIED)


async def test_a_row_that_says_approved_leads_to_nothing_by_itself(office: Office) -> None:
    """Whoever can only write rows gains nothing by it."""
    request = await office.asked()
    async with office.database.sessions.begin() as session:
        row = await session.get_one(RequestRow, request.id)
        row.state = State.APPROVED
    await office.workflow(request).signal(Message.CATCH_UP)

    async def looked_up() -> bool:
        history = await office.workflow(request).fetch_history()
        last = history.events[-1].event_type
        return "look_up" in str(history.events) and last == _TASK_COMPLETED

    await eventually(looked_up)
    knows = await office.workflow(request).query("outcome", result_type=Outcome)

    assert knows.state is State.AWAITING_DECISION
    assert await releases(office, request) == 0
