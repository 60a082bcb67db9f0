"""Connections that were lost while nobody used them, and looks that take no transaction."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import func, select, text

from mcpbox.domain.audit import Action
from mcpbox.domain.servers import DesiredState, ServerKind
from mcpbox.store.audit import add_event
from mcpbox.store.session import make_sessions, plain_url, reading, transaction
from mcpbox.store.tables.servers import ServerRow
from tests.factories import NOW
from tests.integration.conftest import Database


async def test_connections_that_were_closed_meanwhile_are_not_lent_again(
    database: Database,
) -> None:
    async with transaction(database.sessions) as one, transaction(database.sessions) as other:
        lost = [await session.scalar(text("SELECT pg_backend_pid()")) for session in (one, other)]
    watcher = await asyncpg.connect(plain_url(database.url))
    for pid in lost:
        await watcher.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
    await watcher.close()

    async with transaction(database.sessions) as session:
        assert await session.scalar(text("SELECT pg_backend_pid()")) not in lost


async def test_connections_that_many_at_once_had_to_open_stay_open(database: Database) -> None:
    sessions = make_sessions(database.url, connections=4)

    async def four_at_once() -> set[int]:
        all_there = asyncio.Barrier(4)

        async def borrowed() -> int:
            async with reading(sessions) as session:
                pid = await session.scalar(text("SELECT pg_backend_pid()"))
                await all_there.wait()
                return pid

        return set(await asyncio.gather(*(borrowed() for _ in range(4))))

    first, again = await four_at_once(), await four_at_once()
    await sessions.kw["bind"].dispose()

    assert len(first) == 4
    assert again == first


async def test_a_look_takes_no_transaction_and_leaves_the_next_one_its_own(
    database: Database,
) -> None:
    now, name = select(func.now()), f"s{uuid4().hex[:8]}"
    async with reading(database.sessions) as session:
        assert await session.scalar(now) != await session.scalar(now)

    async def made_and_failed() -> None:
        async with transaction(database.sessions) as session:
            assert await session.scalar(now) == await session.scalar(now)
            session.add(a_server(name))
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await made_and_failed()
    async with reading(database.sessions) as session:
        assert await session.scalar(select(ServerRow.id).where(ServerRow.name == name)) is None


async def test_what_is_changed_in_a_look_is_no_silent_loss(database: Database) -> None:
    name = f"s{uuid4().hex[:8]}"

    async def made() -> None:
        async with reading(database.sessions) as session:
            session.add(a_server(name))
            await session.scalar(select(func.now()))

    async def told() -> None:
        async with reading(database.sessions) as session:
            add_event(session, actor="system:test", action=Action.SERVER_CREATED, subject=name)

    for changing in (made, told):
        with pytest.raises(AssertionError, match="would have been lost"):
            await changing()
    async with reading(database.sessions) as session:
        assert await session.scalar(select(ServerRow.id).where(ServerRow.name == name)) is None


def a_server(name: str) -> ServerRow:
    return ServerRow(
        id=uuid4(),
        name=name,
        description="",
        kind=ServerKind.AUTHORED,
        desired_state=DesiredState.RUNNING,
        created_by="person:ana",
        created_at=NOW,
        updated_at=NOW,
    )
