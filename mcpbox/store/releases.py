"""Queries on releases: which version of a tool is the one that is called."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.store.tables import ReleaseRow, VersionRow


async def find_active(session: AsyncSession, tool_id: UUID) -> tuple[ReleaseRow, VersionRow] | None:
    rows = await session.execute(
        select(ReleaseRow, VersionRow)
        .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
        .where(ReleaseRow.tool_id == tool_id, ReleaseRow.active_to.is_(None))
    )
    found = rows.one_or_none()
    return None if found is None else found.tuple()
