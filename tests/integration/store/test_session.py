"""Connections that were lost while nobody used them."""

import asyncpg
from sqlalchemy import text

from mcpbox.store.session import plain_url, transaction
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
