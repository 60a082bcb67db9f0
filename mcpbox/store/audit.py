"""The audit log: append-only, each row bound to the one before it by a hash."""

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.requests import HistoryEntry
from mcpbox.store.tables import AuditRow

GENESIS = "0" * 64
_LOCK = 0x6D637061
"""Advisory lock: one writer at a time, else two rows could follow the same one."""


async def add_event(
    session: AsyncSession,
    *,
    actor: str,
    action: Action,
    subject: str,
    detail: str = "",
    facts: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> None:
    """Call it last in a transaction: it holds the log's lock until the commit.

    ``facts`` are short and JSON; never code, arguments or a secret.
    """
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    last = await session.scalar(select(AuditRow.hash).order_by(AuditRow.sequence.desc()).limit(1))
    row = AuditRow(
        at=at or utc_now(),
        actor=actor,
        action=action,
        subject=subject,
        detail=detail,
        facts=facts or {},
        previous_hash=last or GENESIS,
    )
    row.hash = hash_of(row)
    session.add(row)
    await session.flush()


def hash_of(row: AuditRow) -> str:
    covered = [
        row.previous_hash,
        row.at.isoformat(),
        row.actor,
        row.action,
        row.subject,
        row.detail,
        row.facts,
    ]
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def history_of(session: AsyncSession, subject: str) -> list[HistoryEntry]:
    """Oldest first."""
    rows = await session.scalars(
        select(AuditRow).where(AuditRow.subject == subject).order_by(AuditRow.sequence)
    )
    return [
        HistoryEntry(at=row.at, actor=row.actor, action=row.action, detail=row.detail)
        for row in rows
    ]
