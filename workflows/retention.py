"""Forgetting: rows of the execution log that are older than the review policy allows."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from workflows.contracts import RetentionActivities

WORKFLOW = "retain_logs"
SCHEDULE_ID = "log-retention"
EVERY = timedelta(hours=1)
_TIMEOUT = timedelta(minutes=30)
_HEARTBEAT = timedelta(seconds=30)
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))


@workflow.defn(name=WORKFLOW)
class RetainLogs:
    @workflow.run
    async def run(self) -> int:
        """How many rows were deleted."""
        return await workflow.execute_activity_method(
            RetentionActivities.delete_old_executions,
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_RETRY,
        )
