"""Queries on grants: what a server may reach, who said so, and until when."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.ids import RequestId, ServerId
from mcpbox.domain.manifests import Manifest, Needs, needs_beyond
from mcpbox.store.tables import GrantRow, VersionRow

HOST = "host"


def is_live() -> ColumnElement[bool]:
    return and_(
        GrantRow.revoked_at.is_(None),
        or_(GrantRow.expires_at.is_(None), GrantRow.expires_at > func.now()),
    )


async def granted_hosts(session: AsyncSession, server_id: UUID) -> frozenset[str]:
    """Live ones only."""
    rows = await session.scalars(
        select(GrantRow.value).where(
            GrantRow.server_id == server_id, GrantRow.kind == HOST, is_live()
        )
    )
    return frozenset(rows)


async def needs_of(session: AsyncSession, version_id: UUID, server_id: UUID) -> Needs:
    """What the version needs and its server holds no live grant for."""
    version = await session.get_one(VersionRow, version_id)
    granted = await granted_hosts(session, server_id)
    return needs_beyond(Manifest.model_validate(version.manifest), granted)


async def hosts_by_server(session: AsyncSession) -> dict[UUID, frozenset[str]]:
    """Live ones only; a server without any is not in it."""
    rows = await session.execute(
        select(GrantRow.server_id, func.array_agg(GrantRow.value))
        .where(GrantRow.kind == HOST, is_live())
        .group_by(GrantRow.server_id)
    )
    return {server_id: frozenset(values) for server_id, values in rows}


async def grant_hosts(
    session: AsyncSession,
    server_id: ServerId,
    hosts: Iterable[str],
    *,
    request_id: RequestId,
    granted_by: str,
    at: datetime,
) -> None:
    """Hosts that are granted already are left as they are."""
    for host in hosts:
        await session.execute(
            insert(GrantRow)
            .values(
                id=uuid4(),
                server_id=server_id,
                kind=HOST,
                value=host,
                request_id=request_id,
                granted_by=granted_by,
                created_at=at,
            )
            .on_conflict_do_nothing()
        )
