"""The audit log is a chain: each row is bound to the one before it."""

import asyncio

from sqlalchemy import select

from mcpbox.domain.audit import Action
from mcpbox.domain.audit_chain import GENESIS, event_hash
from mcpbox.store.audit import add_event, history_of
from mcpbox.store.session import transaction
from mcpbox.store.tables.audit import AuditRow
from tests.integration.conftest import Database


async def write(database: Database, subject: str, number: int, *, events: int = 1) -> None:
    """So many events in one transaction."""
    async with transaction(database.sessions) as session:
        for _ in range(events):
            add_event(
                session,
                actor="person:ana",
                action=Action.TOOL_UPDATED,
                subject=subject,
                detail=f"change {number}",
                facts={"number": number},
            )


def hash_of(row: AuditRow) -> str:
    return event_hash(
        row.previous_hash, row.at, row.actor, row.action, row.subject, row.detail, row.facts
    )


async def chain(database: Database) -> list[AuditRow]:
    async with transaction(database.sessions) as session:
        return list(await session.scalars(select(AuditRow).order_by(AuditRow.sequence)))


async def test_events_written_at_once_still_make_one_unbroken_chain(database: Database) -> None:
    await asyncio.gather(*(write(database, "tool:1", n, events=1 + n % 3) for n in range(12)))

    rows = await chain(database)
    assert len(rows) == 24
    assert [row.previous_hash for row in rows] == [GENESIS, *(row.hash for row in rows[:-1])]
    assert all(hash_of(row) == row.hash for row in rows)


async def test_any_edit_breaks_the_hash_of_its_row(database: Database) -> None:
    await write(database, "tool:2", 1)
    row = (await chain(database))[-1]

    for field, value in {"actor": "person:eve", "detail": "nothing", "facts": {}}.items():
        before = getattr(row, field)
        setattr(row, field, value)
        assert hash_of(row) != row.hash, field
        setattr(row, field, before)


async def test_the_history_of_a_subject_is_told_oldest_first(database: Database) -> None:
    for number in range(3):
        await write(database, "tool:3", number)

    async with transaction(database.sessions) as session:
        told = await history_of(session, "tool:3")

    assert [entry.detail for entry in told] == ["change 0", "change 1", "change 2"]
