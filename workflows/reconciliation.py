"""Keeps the projection true where no workflow of ours could: after a termination, or a restore.

A schedule runs it; by hand, it is ``temporal workflow start --type ReconcileRequests``.
"""

from abc import ABC, abstractmethod
from datetime import datetime, timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from mcpbox.domain.base import DomainModel

RECONCILE = "ReconcileRequests"
EVERY = timedelta(seconds=20)
_TIMEOUT = timedelta(seconds=60)


class Look(DomainModel):
    since: datetime | None = None
    """Workflows that were closed earlier were looked at; ``None``: none were."""
    differed: bool = False
    """The last look counted more or fewer open requests than running workflows."""


class Seen(DomainModel):
    until: datetime
    differed: bool
    closed: int = 0
    """Requests that were shown as open and whose workflows had ended."""
    restarted: int = 0
    """Running workflows that had no row, and were taken back to their beginning."""
    caught_up: int = 0
    """Workflows that did not know how they had ended."""


class ReconciliationActivities(ABC):
    @activity.defn
    @abstractmethod
    async def reconcile(self, given: Look) -> Seen:
        """One list of what was closed since, and two counts; more only where these disagree."""


@workflow.defn(name=RECONCILE)
class ReconcileRequestsWorkflow:
    @workflow.run
    async def run(self) -> Seen:
        last: Seen | None = workflow.get_last_completion_result(Seen)
        return await workflow.execute_activity_method(
            ReconciliationActivities.reconcile,
            Look(since=last.until, differed=last.differed) if last else Look(),
            start_to_close_timeout=_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
