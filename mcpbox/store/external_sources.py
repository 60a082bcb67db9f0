"""Queries on external sources, on what they offered, and on the tools that were imported."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.calls import SourceAccess
from mcpbox.domain.digests import digest_of_listing
from mcpbox.domain.errors import NotFound
from mcpbox.domain.external_sources import (
    CapabilitySnapshot,
    ExternalSource,
    ImportedTool,
    Listing,
    SourceState,
)
from mcpbox.domain.ids import Digest, ServerId, SnapshotId, SourceId
from mcpbox.domain.upstreams import Endpoint, Upstream
from mcpbox.store.tables.external_sources import SnapshotRow, SourceRow
from mcpbox.store.tables.releases import ProbationRow, ReleaseRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import ToolRow, VersionRow

_AnyVersion = aliased(VersionRow)
_AnyRelease = aliased(ReleaseRow)
_ENDPOINT: TypeAdapter[Endpoint] = TypeAdapter(Endpoint)


class LastRelease(NamedTuple):
    tool: ToolRow
    release: ReleaseRow
    version: VersionRow

    @property
    def active(self) -> bool:
        return self.release.active_to is None


async def sources(session: AsyncSession, page: PageRequest) -> Page[ExternalSource]:
    """By the name of the server."""
    total = await session.scalar(select(func.count()).select_from(_sources().subquery()))
    rows = await session.execute(
        _sources().order_by(ServerRow.name).offset(page.offset).limit(page.page_size)
    )
    return Page[ExternalSource](
        items=[_source(*row) for row in rows],
        total=total or 0,
        page=page.page,
        page_size=page.page_size,
    )


async def get_source(session: AsyncSession, source_id: UUID) -> ExternalSource:
    """Raises: NotFound."""
    rows = await session.execute(_sources().where(SourceRow.id == source_id))
    row = rows.one_or_none()
    if row is None:
        raise NotFound("external source", source_id)
    return _source(*row)


async def find_source_of(session: AsyncSession, server_id: UUID) -> ExternalSource | None:
    """Of a server of kind external."""
    rows = await session.execute(_sources().where(SourceRow.server_id == server_id))
    row = rows.one_or_none()
    return None if row is None else _source(*row)


async def get_source_row(session: AsyncSession, source_id: UUID) -> SourceRow:
    """Locked for update. Raises: NotFound."""
    row = await session.get(SourceRow, source_id, with_for_update=True)
    if row is None:
        raise NotFound("external source", source_id)
    return row


async def source_ids(session: AsyncSession) -> list[SourceId]:
    """Of all, those first that were not looked at for longest."""
    found = await session.scalars(
        select(SourceRow.id)
        .join(ServerRow, ServerRow.id == SourceRow.server_id)
        .where(ServerRow.deleted_at.is_(None))
        .order_by(SourceRow.checked_at.asc().nulls_first(), SourceRow.id)
    )
    return [SourceId(one) for one in found]


async def sources_by_state(session: AsyncSession) -> dict[str, int]:
    """Every state, also those that no source is in."""
    rows = await session.execute(
        select(SourceRow.state, func.count())
        .join(ServerRow, ServerRow.id == SourceRow.server_id)
        .where(ServerRow.deleted_at.is_(None))
        .group_by(SourceRow.state)
    )
    return {**dict.fromkeys(SourceState, 0), **dict(row.tuple() for row in rows)}


async def access_by_server(
    session: AsyncSession, server_ids: Collection[UUID]
) -> Mapping[UUID, SourceAccess]:
    """Of those that pass calls on."""
    if not server_ids:
        return {}
    rows = await session.execute(
        select(SourceRow.server_id, SourceRow.id, SourceRow.allow_private).where(
            SourceRow.server_id.in_(server_ids)
        )
    )
    return {
        server: SourceAccess(source_id=SourceId(source), allow_private=private)
        for server, source, private in rows
    }


async def find_snapshot(session: AsyncSession, source_id: UUID) -> CapabilitySnapshot | None:
    """The newest."""
    row = await session.scalar(
        select(SnapshotRow)
        .join(SourceRow, SourceRow.snapshot_id == SnapshotRow.id)
        .where(SourceRow.id == source_id)
    )
    if row is None:
        return None
    return CapabilitySnapshot(
        **row.listing,
        id=SnapshotId(row.id),
        source_id=SourceId(row.source_id),
        digest=Digest(row.digest),
        taken_at=row.taken_at,
    )


async def keep_listing(session: AsyncSession, row: SourceRow, listing: Listing) -> bool:
    """Whether it is not what was offered last; then it is the newest snapshot."""
    digest = digest_of_listing(listing.tools)
    last = None
    if row.snapshot_id is not None:
        last = await session.get_one(SnapshotRow, row.snapshot_id)
    changed = last is None or last.digest != digest
    if changed:
        snapshot = SnapshotRow(
            id=uuid4(),
            source_id=row.id,
            digest=digest,
            listing=listing.model_dump(mode="json"),
            taken_at=utc_now(),
        )
        session.add(snapshot)
        await session.flush()
        row.snapshot_id = snapshot.id
    note(row, SourceState.HEALTHY)
    return changed


def note(
    row: SourceRow, state: SourceState, problem: str = "", *, at: datetime | None = None
) -> None:
    """How the source was just now."""
    row.state, row.problem, row.checked_at = state, problem, at or utc_now()
    row.failures = row.failures + 1 if state is SourceState.UNREACHABLE else 0


async def last_releases(session: AsyncSession, server_id: UUID) -> list[LastRelease]:
    """Of each living tool of an external server: the active one, or one that its source ended.

    What a person revoked, or what a probation ended, is not its source's to bring back. Locked.
    """
    newest = (
        select(_AnyRelease.id)
        .where(_AnyRelease.tool_id == ToolRow.id)
        .order_by(_AnyRelease.active_from.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(ToolRow, ReleaseRow, VersionRow)
        .select_from(ToolRow)
        .join(ReleaseRow, ReleaseRow.id == newest)
        .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
        .outerjoin(ProbationRow, ProbationRow.release_id == ReleaseRow.id)
        .where(
            ToolRow.server_id == server_id,
            ToolRow.deleted_at.is_(None),
            ReleaseRow.revoked_at.is_(None),
            ProbationRow.ended_at.is_(None),
        )
        .order_by(ToolRow.name)
        .with_for_update(of=(ToolRow, ReleaseRow))
    )
    return [LastRelease(*row) for row in rows]


async def imported(session: AsyncSession, server_id: UUID) -> list[ImportedTool]:
    """The living tools of a server of kind external, by name."""
    newest = (
        select(func.max(_AnyVersion.number))
        .where(_AnyVersion.tool_id == ToolRow.id)
        .scalar_subquery()
    )
    last = (
        select(_AnyRelease.digest)
        .where(_AnyRelease.tool_id == ToolRow.id)
        .order_by(_AnyRelease.active_from.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(ToolRow, VersionRow, ReleaseRow.digest, last)
        .select_from(ToolRow)
        .join(VersionRow, (VersionRow.tool_id == ToolRow.id) & (VersionRow.number == newest))
        .outerjoin(ReleaseRow, (ReleaseRow.tool_id == ToolRow.id) & ReleaseRow.active_to.is_(None))
        .where(ToolRow.server_id == server_id, ToolRow.deleted_at.is_(None))
        .order_by(ToolRow.name)
    )
    return [
        ImportedTool.model_validate(
            {
                "tool_id": tool.id,
                "name": tool.name,
                "source_name": Upstream.model_validate(version.passes_to).tool,
                "description": version.description,
                "input_schema": version.input_schema,
                "released": released,
                "last_released": earlier,
            }
        )
        for tool, version, released, earlier in rows
    ]


def endpoint_of(row: SourceRow) -> Endpoint:
    return _ENDPOINT.validate_python(row.endpoint)


def _sources() -> Select[SourceRow, str, dict[str, Any], int]:
    released = (
        select(func.count())
        .select_from(ReleaseRow)
        .join(ToolRow, ToolRow.id == ReleaseRow.tool_id)
        .where(
            ToolRow.server_id == SourceRow.server_id,
            ToolRow.deleted_at.is_(None),
            ReleaseRow.active_to.is_(None),
        )
        .scalar_subquery()
    )
    return (
        select(SourceRow, ServerRow.name, SnapshotRow.listing, released)
        .select_from(SourceRow)
        .join(ServerRow, ServerRow.id == SourceRow.server_id)
        .outerjoin(SnapshotRow, SnapshotRow.id == SourceRow.snapshot_id)
        .where(ServerRow.deleted_at.is_(None))
    )


def _source(
    row: SourceRow, server_name: str, listing: dict[str, Any] | None, released: int
) -> ExternalSource:
    return ExternalSource(
        id=SourceId(row.id),
        server_id=ServerId(row.server_id),
        server_name=server_name,
        endpoint=endpoint_of(row),
        allow_private=row.allow_private,
        state=SourceState(row.state),
        problem=row.problem,
        checked_at=row.checked_at,
        failures=row.failures,
        offered_count=0 if listing is None else len(listing["tools"]),
        released_count=released,
        created_by=row.created_by,
        created_at=row.created_at,
    )
