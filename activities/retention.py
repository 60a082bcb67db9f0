"""Deletes what the log may no longer hold, and the schedule that asks for it."""

from datetime import datetime, timedelta

from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from activities.errors import final_domain_errors
from mcpbox.domain.base import utc_now
from mcpbox.store.executions import delete_executions_before
from mcpbox.store.review_policies import security_settings
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.temporal import TASK_QUEUE
from workflows.contracts import RetentionActivities
from workflows.retention import EVERY, SCHEDULE_ID, WORKFLOW

_BATCH = 2_000


class Retention(RetentionActivities):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def delete_old_executions(self) -> int:
        """How many; in batches of their own, so that no call waits for a long transaction."""
        deleted = 0
        with final_domain_errors():
            async with reading(self._sessions) as session:
                days = (await security_settings(session)).log_retention_days
            before = utc_now() - timedelta(days=days)
            while batch := await self._delete_batch(before):
                deleted += batch
                activity.heartbeat(deleted)
        activity.logger.info("executions.deleted %d", deleted)
        return deleted

    async def _delete_batch(self, before: datetime) -> int:
        async with transaction(self._sessions) as session:
            return await delete_executions_before(session, before, limit=_BATCH)


async def ensure_retention(client: Client) -> None:
    """Make the schedule, unless it is there; safe at every start."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            WORKFLOW,
            id=SCHEDULE_ID,
            task_queue=TASK_QUEUE,
            static_summary="Delete old rows of the execution log",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(SCHEDULE_ID, schedule)
    except ScheduleAlreadyRunningError:
        return
