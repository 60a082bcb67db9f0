"""What gateways are told, so that they read their catalog again, and what they need not hear."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import ServerId
from mcpbox.domain.requests import State
from mcpbox.store.changes import Changes, Topic, announce
from tests.integration.requests.conftest import AUTHOR, Office

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


async def grant(office: Office, server: ServerId, *, days: int | None = None) -> None:
    access = HostAccess(host=f"h{uuid4().hex[:8]}.example.com")
    asked = await office.network.request_access(
        AUTHOR, server, access, days=days, justification="The weather is there."
    )
    request = await office.when(asked, State.AWAITING_DECISION)
    assert (await office.decide(request)).state is State.APPLIED


@pytest.mark.parametrize("days", [None, 7])
async def test_no_gateway_reads_anew_for_a_grant_that_no_released_tool_can_use(
    office: Office, days: int | None
) -> None:
    tool = await office.draft(CODE)

    async with listening(office) as told:
        await grant(office, tool.server_id, days=days)

        assert await told() == []


@pytest.mark.parametrize("days", [None, 7])
async def test_gateways_hear_of_a_grant_that_released_tools_can_use(
    office: Office, days: int | None
) -> None:
    tool = await office.draft(CODE)
    await office.decide(await office.asked(tool))

    async with listening(office) as told:
        await grant(office, tool.server_id, days=days)

        assert await told() == [str(tool.server_id)]


async def test_gateways_hear_of_a_grant_and_a_release_that_meet(office: Office) -> None:
    """Whichever is first: the one that waits for the other's lock tells of both."""
    tool = await office.draft(CODE)
    release = await office.asked(tool)

    async with listening(office) as told:
        await asyncio.gather(
            office.decide(release), *(grant(office, tool.server_id) for _ in range(3))
        )

        assert str(tool.id) in await told()
