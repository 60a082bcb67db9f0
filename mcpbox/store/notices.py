"""Queries on notices: posted with what happened, in the same transaction, and told afterwards."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, Text, any_, bindparam, func, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import NotFound
from mcpbox.domain.notices import Event, Notice, ReceivedNotice, Target, TargetKind
from mcpbox.store.changes import Topic, announce
from mcpbox.store.tables.clients import ClientRow
from mcpbox.store.tables.notices import DeliveryRow, InboxRow, NoticeRow, NoticeTargetRow
from mcpbox.store.tables.people import UserRow

MOST_DUE = 200


async def post(session: AsyncSession, notice: Notice) -> None:
    """Into the panel of everybody whom it is for, and to every target that wants it, once.

    Safe to repeat; call it in the transaction of what it tells of.
    """
    await session.execute(
        _POST,
        {
            "new_id": notice.id,
            "new_event": notice.event,
            "new_about": notice.about,
            "new_path": notice.path,
            "new_created_at": utc_now(),
            "people": notice.people,
            "clients": notice.clients,
            "roles": notice.roles,
        },
    )
    announce(session, Topic.NOTICES)


def _post() -> Insert:
    """One statement: the notice and, if it is new, its way to everybody."""
    values = ("id", "event", "about", "path", "created_at")
    new = (
        insert(cast("Table", NoticeRow.__table__))
        .values({name: bindparam(f"new_{name}") for name in values})
        .on_conflict_do_nothing()
        .returning(NoticeRow.id)
        .cte("new")
    )
    people, clients, roles = (
        bindparam(name, type_=ARRAY(Text)) for name in ("people", "clients", "roles")
    )
    owners = select(ClientRow.owner).where(ClientRow.name == any_(clients))
    readers = (
        select(new.c.id, UserRow.id)
        .join_from(new, UserRow, true())
        .where(
            UserRow.active,
            or_(
                UserRow.username == any_(people),
                UserRow.username.in_(owners),
                roles.overlap(UserRow.roles),
            ),
        )
    )
    to_panel = (
        insert(cast("Table", InboxRow.__table__))
        .from_select(["notice_id", "user_id"], readers)
        .cte("to_panel")
    )
    wants = or_(
        func.cardinality(NoticeTargetRow.events) == 0,
        bindparam("new_event", type_=Text) == any_(NoticeTargetRow.events),
    )
    targets = (
        select(new.c.id, NoticeTargetRow.id, literal(0), literal(""))
        .join_from(new, NoticeTargetRow, true())
        .where(wants)
    )
    columns = ["notice_id", "target_id", "tries", "problem"]
    return (
        insert(cast("Table", DeliveryRow.__table__)).from_select(columns, targets).add_cte(to_panel)
    )


_POST = _post()


async def inbox(session: AsyncSession, username: str, page: PageRequest) -> Page[ReceivedNotice]:
    """Newest first."""
    mine = (
        select(NoticeRow, InboxRow.read_at)
        .join(InboxRow, InboxRow.notice_id == NoticeRow.id)
        .join(UserRow, UserRow.id == InboxRow.user_id)
        .where(UserRow.username == username)
    )
    total = await session.scalar(select(func.count()).select_from(mine.subquery()))
    rows = await session.execute(
        mine.order_by(NoticeRow.created_at.desc()).offset(page.offset).limit(page.page_size)
    )
    return Page[ReceivedNotice](
        items=[_received(row, read_at) for row, read_at in rows],
        total=total or 0,
        page=page.page,
        page_size=page.page_size,
    )


async def count_unread(session: AsyncSession, username: str) -> int:
    found = (
        select(func.count())
        .select_from(InboxRow)
        .join(UserRow, UserRow.id == InboxRow.user_id)
        .where(UserRow.username == username, InboxRow.read_at.is_(None))
    )
    return await session.scalar(found) or 0


async def mark_read(session: AsyncSession, username: str, now: datetime) -> None:
    mine = select(UserRow.id).where(UserRow.username == username)
    await session.execute(
        update(InboxRow)
        .where(InboxRow.user_id.in_(mine), InboxRow.read_at.is_(None))
        .values(read_at=now)
    )
    announce(session, Topic.NOTICES)


async def due(session: AsyncSession) -> list[UUID]:
    """Notices of which no delivery was begun or given up yet; oldest first."""
    rows = await session.scalars(
        select(NoticeRow.id)
        .join(DeliveryRow, DeliveryRow.notice_id == NoticeRow.id)
        .where(DeliveryRow.delivered_at.is_(None), DeliveryRow.given_up_at.is_(None))
        .group_by(NoticeRow.id)
        .order_by(func.min(NoticeRow.created_at))
        .limit(MOST_DUE)
    )
    return list(rows)


async def open_deliveries(session: AsyncSession, notice_id: UUID) -> list[UUID]:
    """Ids of the targets that have not got it."""
    rows = await session.scalars(
        select(DeliveryRow.target_id).where(
            DeliveryRow.notice_id == notice_id,
            DeliveryRow.delivered_at.is_(None),
            DeliveryRow.given_up_at.is_(None),
        )
    )
    return list(rows)


async def find_delivery(
    session: AsyncSession, notice_id: UUID, target_id: UUID
) -> tuple[DeliveryRow, NoticeRow, NoticeTargetRow] | None:
    """``None``: the target was removed."""
    rows = await session.execute(
        select(DeliveryRow, NoticeRow, NoticeTargetRow)
        .join(NoticeRow, NoticeRow.id == DeliveryRow.notice_id)
        .join(NoticeTargetRow, NoticeTargetRow.id == DeliveryRow.target_id)
        .where(DeliveryRow.notice_id == notice_id, DeliveryRow.target_id == target_id)
    )
    found = rows.one_or_none()
    return None if found is None else (found[0], found[1], found[2])


async def targets(session: AsyncSession) -> list[Target]:
    """By name."""
    rows = await session.scalars(select(NoticeTargetRow).order_by(NoticeTargetRow.name))
    return [target_of(row) for row in rows]


async def get_target_row(session: AsyncSession, target_id: UUID) -> NoticeTargetRow:
    """Raises: NotFound."""
    row = await session.get(NoticeTargetRow, target_id)
    if row is None:
        raise NotFound("notification target", target_id)
    return row


async def deliveries_by_outcome(session: AsyncSession) -> dict[str, int]:
    delivered = func.count(DeliveryRow.delivered_at)
    given_up = func.count(DeliveryRow.given_up_at)
    rows = await session.execute(select(func.count(), delivered, given_up).select_from(DeliveryRow))
    total, done, failed = rows.one()
    return {"delivered": done, "given_up": failed, "pending": total - done - failed}


def target_of(row: NoticeTargetRow) -> Target:
    return Target(
        id=row.id,
        name=row.name,
        kind=TargetKind(row.kind),
        shown=row.shown,
        events=_events(row.events),
        private=row.private,
        created_by=row.created_by,
        created_at=row.created_at,
        delivered_at=row.delivered_at,
        problem=row.problem,
    )


def notice_of(row: NoticeRow) -> Notice:
    return Notice(key=str(row.id), event=Event(row.event), about=row.about, path=row.path)


def _events(given: Sequence[str]) -> tuple[Event, ...]:
    return tuple(Event(name) for name in given)


def _received(row: NoticeRow, read_at: datetime | None) -> ReceivedNotice:
    return ReceivedNotice(
        id=row.id,
        event=Event(row.event),
        about=row.about,
        sentence=notice_of(row).sentence,
        path=row.path,
        created_at=row.created_at,
        read_at=read_at,
    )
