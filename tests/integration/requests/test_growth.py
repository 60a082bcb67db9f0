"""A request that is talked about for long: it goes on in new runs, and nothing is left behind."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowHistory

from mcpbox.domain.audit import Action
from mcpbox.domain.comments import CommentDraft
from mcpbox.domain.requests import RequestSummary, State
from mcpbox.domain.review import Requirements
from mcpbox.domain.review_policy import ReviewPolicy
from mcpbox.domain.verdicts import Verdict
from tests.integration.requests.conftest import ANA, Office
from tests.integration.requests.hosts_asked import a_server, asked, revised
from tests.integration.requests.test_policy import policy_in_force
from tests.replay.test_histories import replayer
from tests.reviewing import eventually
from workflows.request_state import ROUNDS_PER_RUN

ROUNDS = 30
COMMENTS = 200
DAY = timedelta(days=1)
MOMENT = timedelta(seconds=5)
_EVENTS_PER_ROUND = 60


async def runs_of(office: Office, request: RequestSummary) -> list[WorkflowHistory]:
    """Newest first."""
    found: list[WorkflowHistory] = []
    run_id = ""
    while True:
        workflow = office.env.client.get_workflow_handle(request.workflow_id, run_id=run_id or None)
        found.append(await workflow.fetch_history())
        started = found[-1].events[0].workflow_execution_started_event_attributes
        run_id = started.continued_execution_run_id
        if not run_id:
            return found


async def reminders(office: Office, request: RequestSummary) -> int:
    history = (await office.requests.get(request.id)).history
    return sum(entry.action == Action.REQUEST_REMINDED for entry in history)


@pytest.mark.timeout(240)
async def test_thirty_rounds_and_two_hundred_comments_lose_nothing_and_no_history_grows(
    office: Office,
) -> None:
    """Its reminders, its expiry and every vote are those of one request."""
    await policy_in_force(
        office, ReviewPolicy(requirements=Requirements(ttl=7 * DAY, reminders=(DAY,)))
    )
    request = await asked(office, await a_server(office))
    workflow = office.workflow(request)
    await office.env.fast_forward(workflow, DAY + MOMENT)

    async def reminded() -> bool:
        return await reminders(office, request) == 1

    await eventually(reminded)

    for number in range(2, ROUNDS + 1):
        await asyncio.gather(
            *(
                office.requests.comment(ANA, request.id, CommentDraft(text=f"Comment {place}."))
                for place in range(COMMENTS // (ROUNDS - 1) + 1)
            )
        )
        now = await office.requests.get(request.id)
        outcome = await office.decide(now, Verdict.REQUEST_CHANGES)
        assert outcome.state is State.CHANGES_REQUESTED
        await revised(office, request, number)
        await office.when(request, State.AWAITING_DECISION)

    found = await office.requests.get(request.id)
    assert (found.round, len(found.rounds), len(found.decisions)) == (ROUNDS, ROUNDS, ROUNDS - 1)
    assert len(found.comments) >= COMMENTS
    runs = await runs_of(office, request)
    assert len(runs) == 1 + (ROUNDS - 1) // ROUNDS_PER_RUN
    assert max(len(run.events) for run in runs) < ROUNDS_PER_RUN * _EVENTS_PER_ROUND
    for run in runs:
        await replayer().replay_workflow(run)

    await office.env.fast_forward(office.workflow(request), 5 * DAY)
    assert (await office.requests.get(request.id)).state is State.AWAITING_DECISION
    await office.env.fast_forward(office.workflow(request), DAY)
    await office.when(request, State.EXPIRED)
    assert await reminders(office, request) == 1
