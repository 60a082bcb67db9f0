"""The timer of one grant: it waits for days or months, through any crash, and ends the grant."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from mcpbox import temporal
    from workflows.contracts import GrantActivities, GrantEnding
    from workflows.kinds import STORE_TIMEOUT

_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30)
)
"""Without end. Meanwhile the grant counts as ended all the same: every rule looks at its end."""


@workflow.defn(name=temporal.GRANT_END)
class GrantEndWorkflow:
    @workflow.run
    async def run(self, given: GrantEnding) -> None:
        left = given.ends_at - workflow.now()
        if left > timedelta(0):
            await workflow.sleep(left, summary="end of the grant")
        await workflow.execute_activity_method(
            GrantActivities.end_grant,
            given,
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=_RETRY,
        )
