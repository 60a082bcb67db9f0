"""Processes that die, and an effect that is held up until one of them has."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from mcpbox.store.session import plain_url
from tests.instances import Installed

SERVICES = ("postgres", "temporal", "worker", "sandbox", "gateway", "admin")


async def killed_and_back(crashing: Installed, victim: str) -> None:
    names = SERVICES if victim == "all" else (victim,)
    before = await asyncio.to_thread(crashing.status)
    await asyncio.to_thread(crashing.kill, *names)
    await asyncio.to_thread(
        crashing.wait_until_restarted, {name: before[name]["restarts"] for name in names}
    )


@asynccontextmanager
async def held_up(crashing: Installed, table: str) -> AsyncGenerator[None]:
    """Nobody can write into it; reading, and deciding, go on."""
    connection = await asyncpg.connect(plain_url(crashing.database_url))
    try:
        await connection.execute("BEGIN")
        await connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        yield
    finally:
        connection.terminate()


async def is_decided(crashing: Installed, request_id: str) -> bool:
    return await count(crashing, "decisions", request_id) == 1


async def count(crashing: Installed, table: str, request_id: str) -> int:
    connection = await asyncpg.connect(plain_url(crashing.database_url))
    try:
        return await connection.fetchval(
            f"SELECT count(*) FROM {table} WHERE request_id = $1",  # noqa: S608 - our own names
            UUID(request_id),
        )
    finally:
        await connection.close()
