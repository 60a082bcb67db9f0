"""Queries on releases: which version of a tool is the one that is called."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.ids import Digest, ReleaseId, RequestId
from mcpbox.domain.releases import ReleasedVersion, VersionRelease
from mcpbox.store import tools
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.tools import VersionRow


async def find_active(session: AsyncSession, tool_id: UUID) -> tuple[ReleaseRow, VersionRow] | None:
    rows = await session.execute(
        select(ReleaseRow, VersionRow)
        .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
        .where(ReleaseRow.tool_id == tool_id, ReleaseRow.active_to.is_(None))
    )
    found = rows.one_or_none()
    return None if found is None else found.tuple()


async def released_versions(session: AsyncSession, tool_id: UUID) -> list[ReleasedVersion]:
    """All versions of a tool, newest first, each with its releases."""
    rows = await session.execute(
        select(ReleaseRow, VersionRow.number)
        .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
        .where(ReleaseRow.tool_id == tool_id)
        .order_by(ReleaseRow.active_from.desc())
    )
    found: dict[int, list[VersionRelease]] = {}
    for row, number in rows:
        found.setdefault(number, []).append(_release(row))
    return [
        ReleasedVersion(version=version, releases=tuple(found.get(version.number, ())))
        for version in await tools.versions(session, tool_id)
    ]


async def get_released_version(
    session: AsyncSession, tool_id: UUID, version_id: UUID
) -> ReleasedVersion:
    versions = await released_versions(session, tool_id)
    return next(one for one in versions if one.version.id == version_id)


def _release(row: ReleaseRow) -> VersionRelease:
    return VersionRelease(
        id=ReleaseId(row.id),
        digest=Digest(row.digest),
        request_id=RequestId(row.request_id),
        approved_by=row.approved_by,
        active_from=row.active_from,
        active_to=row.active_to,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        revoke_reason=row.revoke_reason,
    )
