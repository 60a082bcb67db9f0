"""Queries on grants: what a server may reach, who said so, and until when."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    Table,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Action
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import NotFound
from mcpbox.domain.grants import Grant, GrantEnd, GrantKind, state_of
from mcpbox.domain.ids import Digest, GrantId, RequestId, ServerId
from mcpbox.domain.manifests import Granted
from mcpbox.domain.people import SYSTEM
from mcpbox.store.audit import add_event
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from sandbox.contract import DEFAULT_MODULES

HOST = GrantKind.HOST
MODULE = GrantKind.MODULE
SECRET = GrantKind.SECRET
LiveGrant = tuple[str, str, datetime | None]
"""Its kind, its value, and when it ends, if ever."""
_REPLACED = "A newer grant took its place."


def is_live() -> ColumnElement[bool]:
    return and_(
        GrantRow.revoked_at.is_(None),
        or_(GrantRow.expires_at.is_(None), GrantRow.expires_at > func.now()),
    )


_UNTIL = bindparam("until", type_=DateTime(timezone=True))
_GRANT = (
    insert(cast("Table", GrantRow.__table__)).on_conflict_do_nothing().returning(GrantRow.value)
)
_REPLACE = (
    update(cast("Table", GrantRow.__table__))
    .where(
        GrantRow.server_id == bindparam("of_server"),
        GrantRow.kind == bindparam("of_kind"),
        GrantRow.value == bindparam("of_value"),
        GrantRow.revoked_at.is_(None),
        GrantRow.expires_at.is_not(None),
        or_(
            GrantRow.expires_at <= bindparam("now"),
            _UNTIL.is_(None),
            GrantRow.expires_at < _UNTIL,
        ),
    )
    .values(revoked_at=bindparam("now"), revoked_by=SYSTEM.label, revoke_reason=_REPLACED)
)
"""What ends already, or earlier than what takes its place."""
_HOLDER = (
    select(
        ServerRow.name,
        ServerRow.deleted_at,
        ServerRow.module_set,
        GrantRow.kind,
        GrantRow.value,
        GrantRow.expires_at,
    )
    .outerjoin(GrantRow, and_(GrantRow.server_id == ServerRow.id, is_live()))
    .where(ServerRow.id == bindparam("server_id"))
)
_LIVE_OF_KIND = select(GrantRow.value, GrantRow.expires_at).where(
    GrantRow.server_id == bindparam("server_id"), GrantRow.kind == bindparam("kind"), is_live()
)


@dataclass(frozen=True)
class Holder:
    """A server, as far as its grants are concerned."""

    name: str
    deleted: bool
    granted: Granted


async def get_holder(session: AsyncSession, server_id: UUID) -> Holder:
    """Raises: NotFound."""
    rows = (await session.execute(_HOLDER, {"server_id": server_id})).all()
    if not rows:
        raise NotFound("server", server_id)
    name, deleted_at, module_set, *_ = rows[0]
    # A server without any has one row all the same, with nothing of a grant in it.
    live = [(kind, value, ends_at) for *_, kind, value, ends_at in rows if kind]
    granted = granted_from(module_set, live)
    return Holder(name=name, deleted=deleted_at is not None, granted=granted)


async def require_holder(session: AsyncSession, server_id: UUID) -> Holder:
    """Raises: NotFound: also for a deleted one."""
    holder = await get_holder(session, server_id)
    if holder.deleted:
        raise NotFound("server", server_id)
    return holder


async def granted(session: AsyncSession, server_id: UUID) -> Granted:
    """Raises: NotFound."""
    return (await get_holder(session, server_id)).granted


async def live_by_server(
    session: AsyncSession, server_ids: Collection[UUID]
) -> dict[UUID, list[LiveGrant]]:
    """A server without any has an empty list."""
    found: dict[UUID, list[LiveGrant]] = defaultdict(list)
    if server_ids:
        wanted = select(
            GrantRow.server_id, GrantRow.kind, GrantRow.value, GrantRow.expires_at
        ).where(GrantRow.server_id.in_(server_ids), is_live())
        for server_id, kind, value, ends_at in await session.execute(wanted):
            found[server_id].append((kind, value, ends_at))
    return found


def granted_from(module_set: str | None, live: Sequence[LiveGrant]) -> Granted:
    return Granted(
        hosts=_values(live, HOST),
        modules=DEFAULT_MODULES | _values(live, MODULE),
        module_set=None if module_set is None else Digest(module_set),
        secrets=_values(live, SECRET),
        ends=tuple(
            GrantEnd(kind=GrantKind(kind), value=value, at=ends_at)
            for kind, value, ends_at in live
            if ends_at is not None
        ),
    )


async def live_grants(
    session: AsyncSession, server_id: UUID, kind: str
) -> dict[str, datetime | None]:
    """``{value: when it ends, if ever}``."""
    rows = await session.execute(_LIVE_OF_KIND, {"server_id": server_id, "kind": kind})
    return {row.value: row.expires_at for row in rows}


async def grants_of(
    session: AsyncSession, server_id: UUID, page: PageRequest, *, ended: bool = False
) -> Page[Grant]:
    """By kind and value; ``ended``: also those that hold no more."""
    found = _grants().where(GrantRow.server_id == server_id)
    if not ended:
        found = found.where(is_live())
    total = await session.scalar(select(func.count()).select_from(found.subquery()))
    rows = await session.execute(
        found.order_by(GrantRow.kind, GrantRow.value, GrantRow.created_at.desc())
        .offset(page.offset)
        .limit(page.page_size)
    )
    now = utc_now()
    return Page[Grant](
        items=[_grant(row, requester, now) for row, requester in rows],
        total=total or 0,
        page=page.page,
        page_size=page.page_size,
    )


async def get_grant(session: AsyncSession, grant_id: UUID) -> Grant:
    """Raises: NotFound."""
    rows = await session.execute(_grants().where(GrantRow.id == grant_id))
    found = rows.one_or_none()
    if found is None:
        raise NotFound("grant", grant_id)
    row, requester = found
    return _grant(row, requester, utc_now())


async def get_grant_row(session: AsyncSession, grant_id: UUID) -> GrantRow:
    """Locked for update. Raises: NotFound."""
    row = await session.get(GrantRow, grant_id, with_for_update=True)
    if row is None:
        raise NotFound("grant", grant_id)
    return row


async def ending_grants(session: AsyncSession, request_id: UUID) -> dict[GrantId, datetime]:
    """Those of a request that end by themselves and have not ended, and when they do."""
    rows = await session.execute(
        select(GrantRow.id, GrantRow.expires_at).where(
            GrantRow.request_id == request_id,
            GrantRow.expires_at.is_not(None),
            GrantRow.revoked_at.is_(None),
        )
    )
    return {GrantId(row.id): row.expires_at for row in rows}


async def grant(
    session: AsyncSession,
    server_id: ServerId,
    kind: GrantKind,
    values: Iterable[str],
    *,
    request_id: RequestId,
    granted_by: str,
    at: datetime,
    expires_at: datetime | None = None,
) -> list[str]:
    """Those that were not granted yet; for as long or longer, a grant is left as it is."""
    made: list[str] = []
    for value in values:
        new = {
            "id": uuid4(),
            "server_id": server_id,
            "kind": kind,
            "value": value,
            "request_id": request_id,
            "granted_by": granted_by,
            "created_at": at,
            "expires_at": expires_at,
        }
        kept = await session.scalar(_GRANT, new)
        if kept is None:
            here = {"of_server": server_id, "of_kind": kind, "of_value": value}
            await session.execute(_REPLACE, {**here, "now": at, "until": expires_at})
            kept = await session.scalar(_GRANT, new)
        if kept is not None:
            made.append(value)
    return made


async def revoke_all(
    session: AsyncSession, server_id: UUID, *, by: str, reason: str, at: datetime
) -> list[str]:
    """What ended so, sorted, each as ``host api.example.org``. ``by``: label."""
    ended = await session.execute(
        update(GrantRow)
        .where(GrantRow.server_id == server_id, GrantRow.revoked_at.is_(None))
        .values(revoked_at=at, revoked_by=by, revoke_reason=reason)
        .returning(GrantRow.kind, GrantRow.value)
    )
    return sorted(f"{kind} {value}" for kind, value in ended)


def record_grants(
    session: AsyncSession,
    server_id: ServerId,
    kind: GrantKind,
    values: Iterable[str],
    *,
    request_id: RequestId,
    granted_by: str,
) -> None:
    """In the audit log."""
    for value in values:
        add_event(
            session,
            actor=SYSTEM.label,
            action=Action.GRANT_ADDED,
            subject=f"server:{server_id}",
            detail=f"{kind} {value}, approved by {granted_by}",
            facts={"kind": kind, "value": value, "request": str(request_id)},
        )


def _values(live: Iterable[LiveGrant], wanted: GrantKind) -> frozenset[str]:
    return frozenset(value for kind, value, _ in live if kind == wanted)


def _grants() -> Select[GrantRow, str]:
    return select(GrantRow, RequestRow.requester).join(
        RequestRow, RequestRow.id == GrantRow.request_id
    )


def _grant(row: GrantRow, requester: str, now: datetime) -> Grant:
    return Grant(
        id=GrantId(row.id),
        server_id=ServerId(row.server_id),
        kind=GrantKind(row.kind),
        value=row.value,
        state=state_of(expires_at=row.expires_at, revoked_at=row.revoked_at, now=now),
        request_id=RequestId(row.request_id),
        requester=requester,
        granted_by=row.granted_by,
        granted_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        revoke_reason=row.revoke_reason,
    )
