"""Requests whose workflows ended without their doing, and workflows whose requests were lost."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import structlog
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHistoryEventFilterType,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import final_domain_errors
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.requests import Outcome, State, request_id_of
from mcpbox.domain.texts import made_keepable
from mcpbox.store import reconciliation, requests
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.reconciliation import OpenRequest
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.temporal import CHANGE_REQUEST, Message
from workflows.reconciliation import Look, ReconciliationActivities, Seen

OPERATOR = "system:temporal"
_TYPE = f"WorkflowType = '{CHANGE_REQUEST}'"
RUNNING = f"{_TYPE} AND ExecutionStatus = 'Running'"
_BY_FORCE = ("Terminated", "Failed", "TimedOut", "Canceled", "ContinuedAsNew")
"""Ends that a request does not write down itself."""
LAG = timedelta(minutes=1)
"""How late Temporal's list may be, and how old a difference must be before it counts."""
_PATIENCE = timedelta(seconds=5)
_TASK_ENDS = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
)
_WORDS = {
    WorkflowExecutionStatus.TERMINATED: "Its workflow was terminated by an operator",
    WorkflowExecutionStatus.FAILED: "Its workflow failed",
    WorkflowExecutionStatus.TIMED_OUT: "Its workflow timed out",
}
_GONE = "Temporal does not know its workflow any more"
log = structlog.get_logger()


class ReconciledRequests(ReconciliationActivities):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def reconcile(self, given: Look) -> Seen:
        client, now = activity.client(), utc_now()
        with final_domain_errors():
            closed = await self._close(client, await self._ended_by_force(client, given.since))
            differs = await self._differs(client)
            restarted = 0
            ended: list[str] = []
            if differs and given.differed:
                # Not only a request that was on its way from one to the other.
                running = await _started_at(client)
                closed += await self._close(client, await self._without_workflow(running, now))
                restarted = await self._restart(client, await self._without_row(running, now))
                async with reading(self._sessions) as session:
                    ended = await reconciliation.ended_among(session, running.keys(), now - LAG)
            found = {
                "closed": closed,
                "restarted": restarted,
                "caught_up": await _catch_up(client, ended),
            }
        if any(found.values()):
            log.warning("requests.reconciled", **found)
        return Seen(until=now - LAG, differed=differs, **found)

    async def _ended_by_force(self, client: Client, since: datetime | None) -> list[OpenRequest]:
        query = f"{_TYPE} AND ExecutionStatus IN ({', '.join(map(repr, _BY_FORCE))})"
        if since is not None:
            query += f" AND CloseTime >= '{since.astimezone(UTC).isoformat()}'"
        ended = {found.id async for found in client.list_workflows(query)}
        if not ended:
            return []
        async with reading(self._sessions) as session:
            return await reconciliation.open_among(session, ended)

    async def _differs(self, client: Client) -> bool:
        async with reading(self._sessions) as session:
            shown = await reconciliation.count_open(session)
        return shown != (await client.count_workflows(RUNNING)).count

    async def _without_workflow(
        self, running: dict[str, datetime], now: datetime
    ) -> list[OpenRequest]:
        async with reading(self._sessions) as session:
            shown = await reconciliation.open_since(session, now - LAG)
        return [request for request in shown if request.workflow_id not in running]

    async def _without_row(self, running: dict[str, datetime], now: datetime) -> list[str]:
        old = [workflow_id for workflow_id, at in running.items() if at < now - LAG]
        async with reading(self._sessions) as session:
            known = await reconciliation.known_among(session, old)
        return [workflow_id for workflow_id in old if workflow_id not in known]

    async def _close(self, client: Client, shown: Iterable[OpenRequest]) -> int:
        count = 0
        for request in shown:
            description = await _describe(client, request.workflow_id)
            if description and description.status is WorkflowExecutionStatus.RUNNING:
                continue  # a reset ended the run before it
            why = await _why(client, description)
            count += await self._close_row(request, why)
        return count

    async def _close_row(self, request: OpenRequest, why: str) -> bool:
        async with transaction(self._sessions) as session:
            row = await requests.get_request_row(session, request.id)
            before = State(row.state)
            if before.terminal:
                return False
            decided = before in (State.APPROVED, State.APPLYING)
            row.state = State.APPLY_FAILED if decided else State.WITHDRAWN
            row.state_reason = f"{why} before it was applied." if decided else f"{why}."
            row.updated_at = utc_now()
            announce(session, Topic.REQUESTS, request.id)
            add_event(
                session,
                actor=OPERATOR,
                action=Action.REQUEST_CLOSED,
                subject=requests.subject_of(request.id),
                detail=f"{row.state}: {row.state_reason}",
            )
        return True

    async def _restart(self, client: Client, workflow_ids: Iterable[str]) -> int:
        count = 0
        for workflow_id in workflow_ids:
            event_id = await _first_task(client, workflow_id)
            if event_id is None:
                continue
            await client.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                    reason=f"The request {request_id_of(workflow_id)} was not on record any more.",
                    workflow_task_finish_event_id=event_id,
                    request_id=str(uuid4()),
                )
            )
            count += 1
        return count


async def _catch_up(client: Client, workflow_ids: Iterable[str]) -> int:
    """Server and worker ended between the record of a decision and its place in the history."""
    count = 0
    for workflow_id in workflow_ids:
        handle = client.get_workflow_handle(workflow_id)
        try:
            known = await handle.query("outcome", result_type=Outcome, rpc_timeout=_PATIENCE)
            if known.state is State.GATHERING or known.state.decidable:
                await handle.signal(Message.CATCH_UP, rpc_timeout=_PATIENCE)
                count += 1
        except (RPCError, WorkflowQueryFailedError) as error:
            # It has ended since, or is stuck; the others are not to wait for it.
            log.warning("requests.not_caught_up", workflow_id=workflow_id, reason=str(error))
    return count


async def _started_at(client: Client) -> dict[str, datetime]:
    """``{workflow id: start}`` of all running requests."""
    return {found.id: found.start_time async for found in client.list_workflows(RUNNING)}


async def _describe(client: Client, workflow_id: str) -> WorkflowExecutionDescription | None:
    """Of its newest run; ``None``: Temporal has none."""
    try:
        return await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def _why(client: Client, description: WorkflowExecutionDescription | None) -> str:
    """A sentence without its end."""
    if description is None:
        return _GONE
    words = _WORDS.get(description.status or WorkflowExecutionStatus.FAILED, "Its workflow ended")
    handle = client.get_workflow_handle(description.id, run_id=description.run_id)
    async for event in handle.fetch_history_events(
        event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
    ):
        given = event.workflow_execution_terminated_event_attributes.reason.strip(" .")
        if given:
            return f"{words}: {made_keepable(given[:300])}"
    return words


async def _first_task(client: Client, workflow_id: str) -> int | None:
    """Whence everything is done again; ``None``: nothing has been done yet."""
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
        if event.event_type in _TASK_ENDS:
            return event.event_id
    return None
