"""Queries on recoveries: the projection of the workflows that bring servers back."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.errors import NotFound
from mcpbox.domain.ids import ServerId
from mcpbox.domain.recovery import Recovery, RecoveryState
from mcpbox.domain.servers import DesiredState
from mcpbox.store.tables.recovery import RecoveryRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import ToolRow

MOST = 500


async def keep(
    session: AsyncSession,
    server_id: UUID,
    state: RecoveryState,
    *,
    problem: str,
    tries: int,
    started_at: datetime,
    now: datetime,
) -> bool:
    """Whether that changed the state. Safe to repeat."""
    before = await session.scalar(
        select(RecoveryRow.state).where(RecoveryRow.server_id == server_id)
    )
    values: dict[str, Any] = {
        "state": state,
        "problem": problem,
        "tries": tries,
        "started_at": started_at,
        "updated_at": now,
    }
    await session.execute(
        insert(RecoveryRow)
        .values(server_id=server_id, **values)
        .on_conflict_do_update(index_elements=[RecoveryRow.server_id], set_=values)
    )
    return before != state


async def recoveries(session: AsyncSession) -> list[Recovery]:
    """Those that wait first, then the newest; at most ``MOST``."""
    waiting = case((RecoveryRow.state == RecoveryState.WAITING, 0), else_=1)
    rows = await session.execute(
        select(RecoveryRow, ServerRow.name)
        .join(ServerRow, ServerRow.id == RecoveryRow.server_id)
        .order_by(waiting, RecoveryRow.updated_at.desc())
        .limit(MOST)
    )
    return [_recovery(row, name) for row, name in rows]


async def get_recovery(session: AsyncSession, server_id: UUID) -> Recovery:
    """Raises: NotFound."""
    rows = await session.execute(
        select(RecoveryRow, ServerRow.name)
        .join(ServerRow, ServerRow.id == RecoveryRow.server_id)
        .where(RecoveryRow.server_id == server_id)
    )
    found = rows.one_or_none()
    if found is None:
        raise NotFound("recovery of server", server_id)
    return _recovery(*found)


async def servers_to_restore(session: AsyncSession) -> list[tuple[ServerId, str]]:
    """Ids and names of the running servers that have released tools, by name."""
    rows = await session.execute(
        select(ServerRow.id, ServerRow.name)
        .join(ToolRow, ToolRow.server_id == ServerRow.id)
        .join(ReleaseRow, ReleaseRow.tool_id == ToolRow.id)
        .where(
            ServerRow.desired_state == DesiredState.RUNNING,
            ToolRow.deleted_at.is_(None),
            ReleaseRow.active_to.is_(None),
        )
        .distinct()
        .order_by(ServerRow.name)
    )
    return [(ServerId(server_id), name) for server_id, name in rows]


async def recoveries_by_state(session: AsyncSession) -> dict[str, int]:
    """Every state, also those that no recovery is in."""
    rows = await session.execute(
        select(RecoveryRow.state, func.count()).group_by(RecoveryRow.state)
    )
    return {**dict.fromkeys(RecoveryState, 0), **dict(row.tuple() for row in rows)}


def _recovery(row: RecoveryRow, server_name: str) -> Recovery:
    return Recovery(
        server_id=ServerId(row.server_id),
        server_name=server_name,
        state=RecoveryState(row.state),
        problem=row.problem,
        tries=row.tries,
        started_at=row.started_at,
        updated_at=row.updated_at,
    )
