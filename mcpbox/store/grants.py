"""Queries on grants: what a server may reach, who said so, and until when."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.ids import Digest, RequestId, ServerId
from mcpbox.domain.manifests import Granted, Manifest, Needs, needs_beyond
from mcpbox.store.tables import GrantRow, ServerRow, VersionRow
from sandbox.contract import DEFAULT_MODULES

HOST = "host"
MODULE = "module"


def is_live() -> ColumnElement[bool]:
    return and_(
        GrantRow.revoked_at.is_(None),
        or_(GrantRow.expires_at.is_(None), GrantRow.expires_at > func.now()),
    )


async def granted(session: AsyncSession, server_id: UUID) -> Granted:
    server = await session.get_one(ServerRow, server_id)
    rows = await session.execute(
        select(GrantRow.kind, GrantRow.value).where(GrantRow.server_id == server_id, is_live())
    )
    values = [(kind, value) for kind, value in rows]
    return Granted(
        hosts=frozenset(value for kind, value in values if kind == HOST),
        modules=DEFAULT_MODULES | {value for kind, value in values if kind == MODULE},
        module_set=None if server.module_set is None else Digest(server.module_set),
    )


async def live_grants(
    session: AsyncSession, server_id: UUID, kind: str
) -> dict[str, datetime | None]:
    """``{value: when it ends, if ever}``."""
    rows = await session.execute(
        select(GrantRow.value, GrantRow.expires_at).where(
            GrantRow.server_id == server_id, GrantRow.kind == kind, is_live()
        )
    )
    return {row.value: row.expires_at for row in rows}


async def needs_of(session: AsyncSession, version_id: UUID, server_id: UUID) -> Needs:
    """What the version needs and its server holds no live grant for."""
    version = await session.get_one(VersionRow, version_id)
    held = await granted(session, server_id)
    return needs_beyond(Manifest.model_validate(version.manifest), held.hosts)


async def values_by_server(session: AsyncSession, kind: str) -> dict[UUID, frozenset[str]]:
    """Live ones only; a server without any is not in it."""
    rows = await session.execute(
        select(GrantRow.server_id, func.array_agg(GrantRow.value))
        .where(GrantRow.kind == kind, is_live())
        .group_by(GrantRow.server_id)
    )
    return {server_id: frozenset(values) for server_id, values in rows}


async def grant(
    session: AsyncSession,
    server_id: ServerId,
    kind: str,
    values: Iterable[str],
    *,
    request_id: RequestId,
    granted_by: str,
    at: datetime,
) -> None:
    """What is granted already is left as it is."""
    for value in values:
        await session.execute(
            insert(GrantRow)
            .values(
                id=uuid4(),
                server_id=server_id,
                kind=kind,
                value=value,
                request_id=request_id,
                granted_by=granted_by,
                created_at=at,
            )
            .on_conflict_do_nothing()
        )
