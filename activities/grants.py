"""Grants that end by themselves: their timers, and what a timer does."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.errors import final_domain_errors
from activities.receipts import reissue_receipts
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.ids import GrantId, RequestId, ServerId
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.subjects import Subject
from mcpbox.receipts import ReceiptSigner
from mcpbox.store import grants, requests
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.requests import RequestRow
from mcpbox.temporal import GRANT_END, TASK_QUEUE
from workflows.contracts import GrantActivities, GrantEnding


class TimedGrants(GrantActivities):
    def __init__(self, sessions: Sessions, signer: ReceiptSigner) -> None:
        self._sessions = sessions
        self._signer = signer

    @activity.defn
    async def end_grant(self, given: GrantEnding) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await grants.get_grant_row(session, given.grant_id)
                if row.revoked_at is not None:
                    return
                row.revoked_at = max(utc_now(), given.ends_at)
                row.revoked_by = SYSTEM.label
                row.revoke_reason = "Its time is over."
                await session.flush()
                await reissue_receipts(session, self._signer, ServerId(row.server_id))
                announce(session, Topic.CATALOG, row.server_id)
                add_event(
                    session,
                    actor=SYSTEM.label,
                    action=Action.GRANT_ENDED,
                    subject=f"server:{row.server_id}",
                    detail=f"{row.kind} {row.value}",
                    facts={"grant": str(row.id), "request": str(row.request_id)},
                )


def end_of(row: RequestRow, subject: Subject, at: datetime) -> datetime | None:
    """When what the request grants at that time ends; ``None``: when somebody revokes it."""
    days = requests.days_of(row, subject)
    return None if days is None else at + timedelta(days=days)


async def ending_of(
    session: AsyncSession, row: RequestRow, subject: Subject
) -> dict[GrantId, datetime]:
    """Of what the request granted, that which ends by itself; most do not."""
    if requests.days_of(row, subject) is None:
        return {}
    return await grants.ending_grants(session, RequestId(row.id))


async def start_timers(ending: Mapping[GrantId, datetime]) -> None:
    """Once what grants them is committed; to do it again changes nothing."""
    for grant_id, ends_at in ending.items():
        await _start_timer(grant_id, ends_at)


async def _start_timer(grant_id: GrantId, ends_at: datetime) -> None:
    try:
        await activity.client().start_workflow(
            GRANT_END,
            GrantEnding(grant_id=grant_id, ends_at=ends_at),
            id=f"grant/{grant_id}",
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"ends at {ends_at:%Y-%m-%d %H:%M} UTC",
        )
    except WorkflowAlreadyStartedError:
        return
