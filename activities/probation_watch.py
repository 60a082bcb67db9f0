"""Tells the workflows of probations what the database knows: one began, or one is over."""

import asyncio

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from mcpbox.domain.errors import Unavailable
from mcpbox.domain.probation import Probation
from mcpbox.store import probations
from mcpbox.store.changes import Changes, Topic
from mcpbox.store.session import Sessions, reading
from mcpbox.temporal import PROBATION, TASK_QUEUE, Message
from workflows.contracts import ProbationInput

_RETRY_S = 1.0
_SETTLING_S = 0.25
"""Changes come in bunches, right after what made them, which has to go on first."""
log = structlog.get_logger()


class ProbationWatch:
    """Looks at all that is not closed, after every change and every connect.

    So no message has to arrive: a worker that was away catches up by being there.
    """

    def __init__(
        self, database_url: str, sessions: Sessions, client: Client, *, task_queue: str = TASK_QUEUE
    ) -> None:
        self._sessions = sessions
        self._client = client
        self._task_queue = task_queue
        self._changed = asyncio.Event()
        self._changes = Changes(database_url, self._on_change, self._changed.set)
        self._started: set[str] = set()
        """Workflow ids that this process knows to have been started."""

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._changes.run())
            both.create_task(self._attend())

    async def _attend(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_SETTLING_S)
            self._changed.clear()
            try:
                await self.attend_once()
            except (Unavailable, RPCError) as error:
                log.warning("probation.not_attended", reason=str(error))
                await asyncio.sleep(_RETRY_S)
                self._changed.set()

    async def attend_once(self) -> None:
        async with reading(self._sessions) as session:
            waiting = await probations.to_attend(session)
        for probation, over in waiting:
            await self._start(probation)
            if over:
                await self._tell(probation)

    def _on_change(self, topic: Topic, _: str) -> None:
        if topic in (Topic.PROBATIONS, Topic.CATALOG):
            self._changed.set()

    async def _start(self, probation: Probation) -> None:
        workflow_id = workflow_id_of_probation(probation)
        if workflow_id in self._started:
            return
        try:
            await self._client.start_workflow(
                PROBATION,
                ProbationInput(release_id=probation.release_id, until=probation.until),
                id=workflow_id,
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            )
        except WorkflowAlreadyStartedError:
            log.debug("probation.workflow_done", workflow_id=workflow_id)
        self._started.add(workflow_id)

    async def _tell(self, probation: Probation) -> None:
        handle = self._client.get_workflow_handle(workflow_id_of_probation(probation))
        try:
            await handle.signal(Message.LOOK, None)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


def workflow_id_of_probation(probation: Probation) -> str:
    return f"probation/{probation.release_id}"
