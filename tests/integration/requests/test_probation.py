"""Approvals that end by themselves: withdrawn at once, and people are asked again."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowExecutionStatus

from activities.probation import StoredProbations
from activities.probation_watch import ProbationWatch, workflow_id_of_probation
from mcpbox.domain.base import PageRequest, utc_now
from mcpbox.domain.evidence import Check, Status
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin
from mcpbox.domain.ids import ExecutionId
from mcpbox.domain.probation import Probation, ProbationEnd, ProbationTerms
from mcpbox.domain.requests import RequestDetail, RequestSummary, State
from mcpbox.domain.tools import ToolDetail
from mcpbox.store.executions import add_executions
from mcpbox.store.probations import count_executions
from tests.integration.requests.conftest import AUTHOR, Office, a_decision
from tests.reviewing import eventually
from workflows.contracts import EndProbation


async def on_probation(office: Office, **terms: Any) -> tuple[ToolDetail, Probation]:
    """Released, and its workflow runs."""
    tool = await office.draft()
    request = await office.asked(tool)
    draft = a_decision(request).model_copy(update={"probation": ProbationTerms(**terms)})
    assert (await office.decide(request, draft=draft)).state is State.APPLIED
    tool = await office.tools.get(tool.id)
    assert tool.probation is not None
    await watch(office).attend_once()
    return tool, tool.probation


def watch(office: Office) -> ProbationWatch:
    return ProbationWatch("postgresql://unused", office.database.sessions, office.env.client)


def a_call(tool: ToolDetail, **more: Any) -> Execution:
    assert tool.released is not None
    execution = Execution(
        id=ExecutionId(uuid4()),
        tool_id=tool.id,
        tool_name=tool.callable_name,
        version_number=tool.released.number,
        digest=tool.released.digest,
        caller="client:laptop",
        origin=Origin.CALL,
        outcome=ExecutionOutcome.OK,
        arguments={},
        result="1",
        error="",
        stdout="",
        duration_ms=1.0,
        started_at=utc_now(),
    )
    return execution.model_copy(update=more)


async def called(office: Office, *executions: Execution) -> None:
    """As the gateway writes a batch of its log."""
    async with office.database.sessions.begin() as session:
        await add_executions(session, executions)
        await count_executions(session, executions)


async def asked_again(office: Office, tool: ToolDetail) -> RequestDetail:
    async def found() -> RequestDetail | None:
        page = await office.requests.list((), PageRequest(page_size=1), tool.id)
        return await office.requests.get(page.items[0].id)

    async def waiting() -> RequestDetail | None:
        request = await found()
        return request if request and request.state is State.AWAITING_DECISION else None

    return await eventually(waiting)


async def test_its_time_over_a_tool_is_withdrawn_and_people_are_asked_again(
    office: Office,
) -> None:
    tool, probation = await on_probation(office, hours=2)
    handle = office.env.client.get_workflow_handle(workflow_id_of_probation(probation))

    await office.env.fast_forward(handle, timedelta(hours=2, minutes=1))

    async def opened() -> RequestSummary | None:
        # Its clock is moved like its parent's, so it may have expired by now.
        page = await office.requests.list((), PageRequest(), tool.id)
        return page.items[0] if page.total == 2 else None

    again = await eventually(opened)
    assert (await office.tools.get(tool.id)).released is None
    assert (again.digest, again.requester) == (tool.current.digest, AUTHOR.label)
    assert "2 hours it was approved for are over" in again.notes


async def test_its_calls_used_up_it_is_withdrawn_by_the_last_of_them(office: Office) -> None:
    tool, _ = await on_probation(office, calls=2)
    first, second = a_call(tool), a_call(tool)
    refused = a_call(tool, outcome=ExecutionOutcome.REFUSED)

    await called(office, first, refused)
    await called(office, first)  # the gateway may write a batch twice
    running = await office.tools.get(tool.id)
    assert running.probation is not None
    assert running.probation.calls_left == 1
    await called(office, second)

    withdrawn = await office.tools.get(tool.id)
    assert withdrawn.released is None
    assert withdrawn.probation is not None
    assert withdrawn.probation.cause is ProbationEnd.CALLS


async def test_an_undeclared_host_ends_it_and_is_named_to_whom_is_asked_again(
    office: Office,
) -> None:
    tool, _ = await on_probation(office)

    await called(office, a_call(tool, undeclared=("evil.example",)))
    await watch(office).attend_once()
    again = await asked_again(office, tool)

    assert (await office.tools.get(tool.id)).released is None
    [told] = [piece for piece in again.evidence if piece.check is Check.PROBATION]
    assert told.status is Status.WARNING
    assert told.digest == again.digest
    assert "evil.example" in told.summary
    assert again.risk == "high"
    assert (await office.decide(again)).state is State.APPLIED
    released = await office.tools.get(tool.id)
    assert released.released is not None
    assert released.probation is None


async def test_too_many_failures_end_it_once_there_were_enough_calls(office: Office) -> None:
    tool, _ = await on_probation(office, max_error_rate=0.5, min_calls=4)
    failed = [a_call(tool, outcome=ExecutionOutcome.ERROR) for _ in range(3)]

    await called(office, *failed)
    assert (await office.tools.get(tool.id)).released is not None
    await called(office, a_call(tool))

    ended = (await office.tools.get(tool.id)).probation
    assert ended is not None
    assert (ended.cause, ended.calls, ended.errors) == (ProbationEnd.ERRORS, 4, 3)


async def test_what_a_worker_missed_it_finds_when_it_is_back_and_does_once(
    office: Office,
) -> None:
    """Told twice, and by a worker that knows nothing: one new request."""
    tool, probation = await on_probation(office, calls=1)
    await called(office, a_call(tool))

    await watch(office).attend_once()
    await watch(office).attend_once()
    again = await asked_again(office, tool)
    ended = await StoredProbations(office.database.sessions).end_probation(
        EndProbation(release_id=probation.release_id, at=utc_now())
    )

    assert ended.reopened is not None
    assert ended.reopened.id == again.id
    page = await office.requests.list((), PageRequest(page_size=10), tool.id)
    assert page.total == 2


async def test_a_newer_release_ends_it_quietly(office: Office) -> None:
    tool, probation = await on_probation(office, calls=5)
    newer = await office.tools.update(
        AUTHOR, tool.id, code="async def main(a: int = 1) -> int:\n    return -a\n"
    )
    await office.decide(await office.asked(newer))

    await watch(office).attend_once()
    handle = office.env.client.get_workflow_handle(workflow_id_of_probation(probation))

    async def done() -> bool:
        return (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED

    await eventually(done)
    assert (await office.tools.get(tool.id)).released_version == 2
    assert (await office.requests.list((), PageRequest(), tool.id)).total == 2
