"""Queries that compare the projection of requests with the workflows it is of."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import RequestId
from mcpbox.domain.requests import TERMINAL, State
from mcpbox.store.tables.requests import RequestRow


class OpenRequest(DomainModel):
    id: RequestId
    workflow_id: str
    state: State


async def open_among(session: AsyncSession, workflow_ids: Collection[str]) -> list[OpenRequest]:
    """Those of these workflows whose requests are shown as open; oldest first."""
    rows = await session.scalars(
        select(RequestRow)
        .where(RequestRow.workflow_id.in_(workflow_ids), RequestRow.state.not_in(TERMINAL))
        .order_by(RequestRow.created_at)
    )
    return [_open(row) for row in rows]


async def count_open(session: AsyncSession) -> int:
    """Index: ``ix_change_requests_state_created_at``."""
    found = select(func.count()).select_from(RequestRow).where(RequestRow.state.not_in(TERMINAL))
    return await session.scalar(found) or 0


async def open_since(session: AsyncSession, before: datetime) -> list[OpenRequest]:
    """Open, and not changed after ``before``; oldest first."""
    rows = await session.scalars(
        select(RequestRow)
        .where(RequestRow.state.not_in(TERMINAL), RequestRow.updated_at < before)
        .order_by(RequestRow.created_at)
    )
    return [_open(row) for row in rows]


async def known_among(session: AsyncSession, workflow_ids: Collection[str]) -> set[str]:
    """Those of these workflows that have a row, open or not."""
    found = select(RequestRow.workflow_id).where(RequestRow.workflow_id.in_(workflow_ids))
    return set(await session.scalars(found))


async def ended_among(
    session: AsyncSession, workflow_ids: Collection[str], before: datetime
) -> list[str]:
    """Those of these workflows whose requests ended before that; oldest first."""
    rows = await session.scalars(
        select(RequestRow.workflow_id)
        .where(
            RequestRow.workflow_id.in_(workflow_ids),
            RequestRow.state.in_(TERMINAL),
            RequestRow.updated_at < before,
        )
        .order_by(RequestRow.created_at)
    )
    return list(rows)


def _open(row: RequestRow) -> OpenRequest:
    return OpenRequest(id=RequestId(row.id), workflow_id=row.workflow_id, state=State(row.state))
