"""Queries on tools and their versions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import NotFound
from mcpbox.domain.ids import Digest, ServerId, ToolId, VersionId
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.narrowing import Standing
from mcpbox.domain.requests import TERMINAL, State
from mcpbox.domain.tools import (
    Annotations,
    Approval,
    ToolDetail,
    ToolSummary,
    ToolVersion,
    VersionContent,
    callable_name,
)
from mcpbox.domain.upstreams import Upstream
from mcpbox.store import probations
from mcpbox.store.narrowings import narrowing
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import SampleRow, ToolRow, VersionRow

Current = aliased(VersionRow, name="current_version")
Released = aliased(VersionRow, name="released_version")
Last = aliased(ReleaseRow, name="last_release")
_AnyRelease = aliased(ReleaseRow)
_Found = tuple[ToolRow, str, VersionRow, VersionRow | None, ReleaseRow | None, str | None]


async def tools(
    session: AsyncSession, page: PageRequest, server_id: UUID | None = None
) -> Page[ToolSummary]:
    """By server name, then tool name; deleted ones are left out."""
    found = _tools()
    if server_id is not None:
        found = found.where(ToolRow.server_id == server_id)
    total = await session.scalar(select(func.count()).select_from(found.subquery()))
    rows = await session.execute(
        found.order_by(ServerRow.name, ToolRow.name).offset(page.offset).limit(page.page_size)
    )
    return Page[ToolSummary](
        items=[ToolSummary(**_summary(row)) for row in rows],
        total=total or 0,
        page=page.page,
        page_size=page.page_size,
    )


async def get_tool(session: AsyncSession, tool_id: UUID) -> ToolDetail:
    """Raises: NotFound: also for a deleted one."""
    rows = await session.execute(_tools().where(ToolRow.id == tool_id))
    row = rows.one_or_none()
    if row is None:
        raise NotFound("tool", tool_id)
    _, _, current, released, _, _ = row
    return ToolDetail(
        **_summary(row),
        current=version_of(current),
        released=find_version_of(released),
        probation=await probations.newest_of_tool(session, tool_id),
    )


async def get_tool_row(session: AsyncSession, tool_id: UUID) -> ToolRow:
    """Locked for update, so that versions are numbered without gaps. Raises: NotFound."""
    row = await session.get(ToolRow, tool_id, with_for_update=True)
    if row is None or row.deleted_at is not None:
        raise NotFound("tool", tool_id)
    return row


async def living_rows(session: AsyncSession, server_id: UUID) -> list[ToolRow]:
    """Those of the server that were not deleted, by name, locked for update."""
    rows = await session.scalars(
        select(ToolRow)
        .where(ToolRow.server_id == server_id, ToolRow.deleted_at.is_(None))
        .order_by(ToolRow.name)
        .with_for_update()
    )
    return list(rows)


async def delete_tools(session: AsyncSession, tool_ids: Sequence[UUID], *, at: datetime) -> None:
    """With what is released of them."""
    await session.execute(update(ToolRow).where(ToolRow.id.in_(tool_ids)).values(deleted_at=at))
    await session.execute(
        update(ReleaseRow)
        .where(ReleaseRow.tool_id.in_(tool_ids), ReleaseRow.active_to.is_(None))
        .values(active_to=at)
    )


def standing_of(row: ToolRow) -> Standing:
    return Standing(
        noun=f"tool {row.name!r}",
        off=narrowing(row.disabled_by, row.disabled_at, row.disable_reason),
        quarantine=narrowing(row.quarantined_by, row.quarantined_at, row.quarantine_reason),
    )


async def versions(session: AsyncSession, tool_id: UUID) -> list[ToolVersion]:
    """Newest first."""
    rows = await session.scalars(
        select(VersionRow).where(VersionRow.tool_id == tool_id).order_by(VersionRow.number.desc())
    )
    return [version_of(row) for row in rows]


def _newest_manifests() -> Select[str, dict[str, Any]]:
    newest = (
        select(VersionRow.tool_id, func.max(VersionRow.number).label("number"))
        .join(ToolRow, ToolRow.id == VersionRow.tool_id)
        .where(ToolRow.server_id == bindparam("server_id"))
        .group_by(VersionRow.tool_id)
        .subquery()
    )
    return (
        select(ToolRow.name, VersionRow.manifest)
        .join(VersionRow, VersionRow.tool_id == ToolRow.id)
        .join(
            newest,
            (newest.c.tool_id == VersionRow.tool_id) & (newest.c.number == VersionRow.number),
        )
        .where(ToolRow.deleted_at.is_(None))
    )


_NEWEST_MANIFESTS = _newest_manifests()


async def newest_manifests(session: AsyncSession, server_id: UUID) -> dict[str, Manifest]:
    """``{tool name: manifest of its newest version}``, of the living tools of a server."""
    rows = await session.execute(_NEWEST_MANIFESTS, {"server_id": server_id})
    return {name: Manifest.model_validate(manifest) for name, manifest in rows}


async def released_beside(
    session: AsyncSession, server_id: UUID, tool_id: UUID
) -> list[VersionContent]:
    """What is released of the other tools of the server, by name."""
    rows = await session.scalars(
        select(VersionRow)
        .join(ReleaseRow, ReleaseRow.version_id == VersionRow.id)
        .join(ToolRow, ToolRow.id == ReleaseRow.tool_id)
        .where(
            ToolRow.server_id == server_id,
            ToolRow.id != tool_id,
            ToolRow.deleted_at.is_(None),
            ReleaseRow.active_to.is_(None),
        )
        .order_by(VersionRow.name)
    )
    return [content_of(row) for row in rows]


async def get_version(session: AsyncSession, version_id: UUID) -> ToolVersion:
    """Raises: NotFound."""
    row = await session.get(VersionRow, version_id)
    if row is None:
        raise NotFound("version", version_id)
    return version_of(row)


async def keep_sample(session: AsyncSession, version_id: UUID, arguments: dict[str, Any]) -> None:
    values = {"arguments": arguments, "updated_at": utc_now()}
    await session.execute(
        insert(SampleRow)
        .values(version_id=version_id, **values)
        .on_conflict_do_update(index_elements=["version_id"], set_=values)
    )


async def find_sample(session: AsyncSession, version_id: UUID) -> dict[str, Any] | None:
    return await session.scalar(
        select(SampleRow.arguments).where(SampleRow.version_id == version_id)
    )


def version_of(row: VersionRow) -> ToolVersion:
    return ToolVersion(
        id=VersionId(row.id),
        tool_id=ToolId(row.tool_id),
        number=row.number,
        digest=Digest(row.digest),
        author=row.author,
        created_at=row.created_at,
        **content_of(row).model_dump(),
    )


def find_version_of(row: VersionRow | None) -> ToolVersion | None:
    """For an outer join, whose row may be missing."""
    return None if row is None else version_of(row)


async def add_tool(
    session: AsyncSession, server_id: UUID, content: VersionContent, by: str
) -> ToolRow:
    """With its first version. ``by``: label. Raises: IntegrityError: the name is taken."""
    now = utc_now()
    row = ToolRow(
        id=uuid4(),
        server_id=server_id,
        name=content.name,
        enabled=True,
        created_by=by,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    await session.flush()
    await add_version(session, row.id, 1, content, by)
    return row


async def add_version(
    session: AsyncSession, tool_id: UUID, number: int, content: VersionContent, author: str
) -> VersionRow:
    """``author``: label. Raises: IntegrityError: there is a version of this number."""
    row = VersionRow(
        id=uuid4(),
        tool_id=tool_id,
        number=number,
        name=content.name,
        description=content.description,
        code=content.code,
        input_schema=content.input_schema,
        annotations=content.annotations.model_dump(mode="json"),
        manifest=content.manifest.model_dump(mode="json"),
        passes_to=content.passes_to and content.passes_to.model_dump(mode="json"),
        digest=digest_of(content),
        author=author,
        created_at=utc_now(),
    )
    session.add(row)
    await session.flush()
    return row


async def ensure_version(
    session: AsyncSession, tool_id: UUID, content: VersionContent, author: str
) -> VersionRow:
    """The newest one, made where that is not of this content; the tool's row is locked."""
    newest = await session.scalar(
        select(VersionRow)
        .where(VersionRow.tool_id == tool_id)
        .order_by(VersionRow.number.desc())
        .limit(1)
    )
    if newest is not None and newest.digest == digest_of(content):
        return newest
    number = 1 if newest is None else newest.number + 1
    return await add_version(session, tool_id, number, content, author)


def content_of(row: VersionRow) -> VersionContent:
    """What the digest of the row must be the digest of."""
    return VersionContent(
        name=row.name,
        description=row.description,
        code=row.code,
        input_schema=row.input_schema,
        annotations=Annotations.model_validate(row.annotations),
        manifest=Manifest.model_validate(row.manifest),
        passes_to=None if row.passes_to is None else Upstream.model_validate(row.passes_to),
    )


def _tools() -> Select[ToolRow, str, VersionRow, VersionRow, ReleaseRow, str]:
    newest = (
        select(func.max(VersionRow.number))
        .where(VersionRow.tool_id == ToolRow.id)
        .scalar_subquery()
    )
    # The newest request about the newest version says where it stands.
    request_state = (
        select(RequestRow.state)
        .where(RequestRow.version_id == Current.id)
        .order_by(RequestRow.created_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    newest_release = (
        select(_AnyRelease.id)
        .where(_AnyRelease.tool_id == ToolRow.id)
        .order_by(_AnyRelease.active_from.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(ToolRow, ServerRow.name, Current, Released, Last, request_state)
        .join(ServerRow, ServerRow.id == ToolRow.server_id)
        .join(Current, (Current.tool_id == ToolRow.id) & (Current.number == newest))
        .outerjoin(ReleaseRow, (ReleaseRow.tool_id == ToolRow.id) & ReleaseRow.active_to.is_(None))
        .outerjoin(Released, Released.id == ReleaseRow.version_id)
        .outerjoin(Last, Last.id == newest_release)
        .where(ToolRow.deleted_at.is_(None), ServerRow.deleted_at.is_(None))
    )


def _summary(found: _Found) -> dict[str, Any]:
    row, server_name, current, released, last, request_state = found
    standing = standing_of(row)
    revoked = last and narrowing(last.revoked_by, last.revoked_at, last.revoke_reason)
    return {
        "id": ToolId(row.id),
        "server_id": ServerId(row.server_id),
        "name": row.name,
        "enabled": row.enabled,
        "disabled": standing.off,
        "quarantine": standing.quarantine,
        "revoked": revoked,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "server_name": server_name,
        "description": current.description,
        "current_version": current.number,
        "released_version": None if released is None else released.number,
        "approval": Approval.REJECTED
        if revoked and last and last.version_id == current.id
        else _approval(current, released, request_state),
        "callable_name": callable_name(server_name, (released or current).name),
    }


def _approval(current: VersionRow, released: VersionRow | None, state: str | None) -> Approval:
    if released is not None and released.id == current.id:
        return Approval.APPROVED
    if state is None:
        return Approval.DRAFT
    if State(state) not in TERMINAL and state != State.CHANGES_REQUESTED:
        return Approval.PENDING_REVIEW
    if state in (State.DENIED, State.VETOED, State.CHANGES_REQUESTED):
        return Approval.REJECTED
    return Approval.DRAFT
