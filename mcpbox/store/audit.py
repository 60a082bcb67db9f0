"""The audit log: append-only, each row bound to the one before it by a hash."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, Text, event, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from mcpbox.domain.audit import Action, AuditEvent, AuditFilter
from mcpbox.domain.audit_chain import GENESIS, ChainedEvent, event_hash
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import NotFound
from mcpbox.domain.requests import HistoryEntry
from mcpbox.store.changes import TOLD, Topic, announce, taken_from
from mcpbox.store.tables.audit import AuditRow

_LOCKED_HEAD = select(func.audit_head(type_=Text), TOLD)
"""The newest hash, once nobody else writes: two rows could follow the same one otherwise.

What the transaction announces is told in the same way to the server.
"""
_APPEND = insert(cast("Table", AuditRow.__table__))
_ADDED = "audit events"
"""Of the session's transaction, in order."""
_BATCH = 2000
_COLUMNS = (
    AuditRow.sequence,
    AuditRow.at,
    AuditRow.actor,
    AuditRow.action,
    AuditRow.subject,
    AuditRow.detail,
    AuditRow.facts,
    AuditRow.previous_hash,
    AuditRow.hash,
)


def add_event(
    session: AsyncSession,
    *,
    actor: str,
    action: Action,
    subject: str,
    detail: str = "",
    facts: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> None:
    """Written as the last of the transaction: whoever writes holds the log's lock until its end.

    ``facts`` are short and JSON; never code, arguments or a secret.
    """
    announce(session, Topic.AUDIT)
    added: list[dict[str, Any]] = session.info.setdefault(_ADDED, [])
    added.append(
        {
            "at": at,
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": detail,
            "facts": facts or {},
        }
    )


# First of all: what announces by itself has nothing left to tell then.
@event.listens_for(Session, "before_commit", insert=True)
def _append(session: Session) -> None:
    rows: list[dict[str, Any]] = session.info.pop(_ADDED, [])
    if not rows:
        return
    session.flush()  # which may wait for others, so before there is the lock
    previous = session.scalar(_LOCKED_HEAD, {"payloads": taken_from(session)}) or GENESIS
    for row in rows:
        row["at"] = row["at"] or utc_now()
        row["hash"] = event_hash(previous, **row)
        row["previous_hash"], previous = previous, row["hash"]
    session.execute(_APPEND, rows)


async def is_told(
    session: AsyncSession, action: Action, subject: str, facts: dict[str, Any]
) -> bool:
    """Whether the log has this event already, for who may be about to tell of it again.

    ``facts``: enough of them to know it by.
    """
    found = select(AuditRow.sequence).where(
        AuditRow.subject == subject, AuditRow.action == action, AuditRow.facts.contains(facts)
    )
    return await session.scalar(found.limit(1)) is not None


async def history_of(session: AsyncSession, subject: str) -> list[HistoryEntry]:
    """Oldest first."""
    rows = await session.scalars(
        select(AuditRow).where(AuditRow.subject == subject).order_by(AuditRow.sequence)
    )
    return [
        HistoryEntry(at=row.at, actor=row.actor, action=row.action, detail=row.detail)
        for row in rows
    ]


async def events(session: AsyncSession, page: PageRequest, wanted: AuditFilter) -> Page[AuditEvent]:
    """Newest first."""
    conditions = _conditions(wanted)
    total = await session.scalar(select(func.count()).select_from(AuditRow).where(*conditions))
    rows = await session.scalars(
        select(AuditRow)
        .where(*conditions)
        .order_by(AuditRow.sequence.desc())
        .offset(page.offset)
        .limit(page.page_size)
    )
    return Page[AuditEvent](
        items=[_event(row) for row in rows],
        total=total or 0,
        page=page.page,
        page_size=page.page_size,
    )


async def get_event(session: AsyncSession, sequence: int) -> AuditEvent:
    """Raises: NotFound."""
    row = await session.get(AuditRow, sequence)
    if row is None:
        raise NotFound("event", sequence)
    return _event(row)


async def head(session: AsyncSession) -> tuple[int, str] | None:
    """Sequence and hash of the newest event."""
    found = await session.execute(
        select(AuditRow.sequence, AuditRow.hash).order_by(AuditRow.sequence.desc()).limit(1)
    )
    row = found.one_or_none()
    return None if row is None else (row.sequence, row.hash)


async def stream(
    session: AsyncSession, since: datetime | None = None, until: datetime | None = None
) -> AsyncGenerator[ChainedEvent]:
    """Oldest first, without a gap, never more than a batch of them in memory.

    ``until`` is left out itself. Times only choose where to begin and end: whatever has a sequence
    between the two is there, whatever time it claims.
    """
    wanted = select(*_COLUMNS).order_by(AuditRow.sequence)
    if since is not None:
        first = select(func.min(AuditRow.sequence)).where(AuditRow.at >= since)
        wanted = wanted.where(AuditRow.sequence >= first.scalar_subquery())
    if until is not None:
        last = select(func.max(AuditRow.sequence)).where(AuditRow.at < until)
        wanted = wanted.where(AuditRow.sequence <= last.scalar_subquery())
    rows = await session.stream(wanted, execution_options={"yield_per": _BATCH})
    async for row in rows:
        yield ChainedEvent(*row)


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor:
        conditions.append(AuditRow.actor == wanted.actor)
    if wanted.action:
        conditions.append(AuditRow.action == wanted.action)
    if wanted.subject:
        conditions.append(AuditRow.subject == wanted.subject)
    if wanted.since:
        conditions.append(AuditRow.at >= wanted.since)
    if wanted.until:
        conditions.append(AuditRow.at < wanted.until)
    return conditions


def _event(row: AuditRow) -> AuditEvent:
    return AuditEvent(
        sequence=row.sequence,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        detail=row.detail,
        facts=row.facts,
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
