"""What gateways are told, so that they read their catalog again, and what they need not hear."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update

from mcpbox.domain.base import utc_now
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import ServerId
from mcpbox.domain.requests import RequestSummary, State
from mcpbox.store.changes import Changes, Topic, announce
from mcpbox.store.servers import lock_server
from mcpbox.store.tables.releases import ReleaseRow
from tests.integration.requests.conftest import AUTHOR, Office
from tests.reviewing import eventually

CODE = "async def main() -> int:\n    return 1\n"
Told = Callable[[], Awaitable[list[str]]]
"""Keys of what was told of the catalog so far."""


@asynccontextmanager
async def listening(office: Office) -> AsyncGenerator[Told]:
    heard: list[tuple[Topic, str]] = []
    connected, news = asyncio.Event(), asyncio.Event()

    def hear(topic: Topic, key: str) -> None:
        heard.append((topic, key))
        news.set()

    async def told() -> list[str]:
        last = str(uuid4())
        async with office.database.sessions.begin() as session:
            announce(session, Topic.RECOVERY, last)
        async with asyncio.timeout(10):
            while (Topic.RECOVERY, last) not in heard:
                news.clear()
                await news.wait()
        return [key for topic, key in heard if topic is Topic.CATALOG]

    changes = asyncio.create_task(Changes(office.database.url, hear, connected.set).run())
    await connected.wait()
    try:
        yield told
    finally:
        changes.cancel()


async def asked(office: Office, server: UUID, *, days: int | None = None) -> RequestSummary:
    access = HostAccess(host=f"h{uuid4().hex[:8]}.example.com")
    request = await office.network.request_access(
        AUTHOR, ServerId(server), access, days=days, justification="The weather is there."
    )
    return await office.when(request, State.AWAITING_DECISION)


async def grant(office: Office, request: RequestSummary) -> None:
    assert (await office.decide(request)).state is State.APPLIED


@pytest.mark.parametrize("days", [None, 7])
async def test_no_gateway_reads_anew_for_a_grant_that_no_released_tool_can_use(
    office: Office, days: int | None
) -> None:
    tool = await office.draft(CODE)

    async with listening(office) as told:
        await grant(office, await asked(office, tool.server_id, days=days))

        assert await told() == []


@pytest.mark.parametrize("days", [None, 7])
async def test_gateways_hear_of_a_grant_that_released_tools_can_use(
    office: Office, days: int | None
) -> None:
    tool = await office.draft(CODE)
    await office.decide(await office.asked(tool))

    async with listening(office) as told:
        await grant(office, await asked(office, tool.server_id, days=days))

        assert await told() == [str(tool.server_id)]


async def test_gateways_hear_of_a_grant_that_waited_for_a_release(office: Office) -> None:
    """Whether a tool is released is looked at once nobody else releases one."""
    tool = await office.draft(CODE)
    await office.decide(await office.asked(tool))
    request = await asked(office, tool.server_id)
    released = update(ReleaseRow).where(ReleaseRow.tool_id == tool.id)
    async with office.database.sessions.begin() as session:
        await session.execute(released.values(active_to=utc_now()))

    async with listening(office) as told:
        async with office.database.sessions.begin() as releasing:
            await lock_server(releasing, tool.server_id)
            granting = asyncio.create_task(grant(office, request))
            await eventually(partial(somebody_waits, office))
            await releasing.execute(released.values(active_to=None))
        await granting

        assert await told() == [str(tool.server_id)]


async def somebody_waits(office: Office) -> bool:
    """For a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with office.database.sessions() as session:
        return bool(await session.scalar(waiting))
