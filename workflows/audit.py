"""Every day: sign where the audit log stands, and bring that out of the database."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from workflows.contracts import AuditActivities

_STORE_TIMEOUT = timedelta(seconds=15)
_EXPORT_TIMEOUT = timedelta(seconds=30)
_EXPORT_PATIENCE = timedelta(hours=20)
"""Less than a day: then the next anchor, which says more, is due."""


@workflow.defn(name="AnchorAudit")
class AnchorAuditWorkflow:
    @workflow.run
    async def run(self) -> None:
        made = await workflow.execute_activity_method(
            AuditActivities.anchor_audit, start_to_close_timeout=_STORE_TIMEOUT
        )
        await workflow.execute_activity_method(
            AuditActivities.export_anchor,
            made,
            start_to_close_timeout=_EXPORT_TIMEOUT,
            schedule_to_close_timeout=_EXPORT_PATIENCE,
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=10)),
        )
