"""The daily anchor of the audit log."""

from datetime import timedelta

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
from mcpbox.anchors import AnchorExport
from mcpbox.domain.people import SYSTEM
from mcpbox.usecases.audit import Audit
from workflows.audit import AnchorAuditWorkflow
from workflows.contracts import AuditActivities, MadeAnchor

SCHEDULE_ID = "audit-anchor"
_EVERY = timedelta(days=1)


class AnchoredAudit(AuditActivities):
    def __init__(self, audit: Audit, export: AnchorExport) -> None:
        self._audit = audit
        self._export = export

    @activity.defn
    async def anchor_audit(self) -> MadeAnchor:
        with final_domain_errors():
            anchor, envelope = await self._audit.anchor(SYSTEM)
        return MadeAnchor(anchor=anchor, envelope=envelope)

    @activity.defn
    async def export_anchor(self, given: MadeAnchor) -> None:
        with final_domain_errors():
            await self._export.export(given.anchor, given.envelope)


async def ensure_anchor_schedule(client: Client, task_queue: str) -> None:
    """Safe at every start; a day that was missed is made up for once."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            AnchorAuditWorkflow.run, id=SCHEDULE_ID, task_queue=task_queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_EVERY)]),
        policy=SchedulePolicy(
            # One that still waits for its export knows less than the new one.
            overlap=ScheduleOverlapPolicy.CANCEL_OTHER,
            catchup_window=_EVERY,
        ),
    )
    try:
        await client.create_schedule(SCHEDULE_ID, schedule)
    except ScheduleAlreadyRunningError:
        return
