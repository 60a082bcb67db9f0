"""The clients that people use list, call, and are told of a new tool, all beside each other."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.clients.driving import Driven, Driver, driven
from tests.instances import Installed
from tests.mcp_clients import Author, Draft, author_on
from tests.reviewing import Reviewer, eventually

MODERN = "2026-07-28"
DRIVERS = (
    Driver("mcp==1.", "mcp_1.py"),
    Driver("mcp==2.", "mcp_2.py", "legacy"),
    Driver("mcp==2.", "mcp_2.py", MODERN),
    Driver("fastmcp==", "fast.py", "legacy"),
    Driver("fastmcp==", "fast.py", "auto", hears=False),
    Driver("@modelcontextprotocol/sdk", "sdk.mjs"),
    Driver("@modelcontextprotocol/client", "client.mjs", "legacy"),
    Driver("@modelcontextprotocol/client", "client.mjs", MODERN),
    Driver("@modelcontextprotocol/inspector", "inspector.mjs", "legacy", hears=False),
    Driver("@modelcontextprotocol/inspector", "inspector.mjs", "modern", hears=False),
)


@pytest.mark.timeout(180)
async def test_every_client_lists_calls_and_hears_of_a_tool_that_is_published(
    instance: Installed,
) -> None:
    """One run for all of them: to start a client takes longer than all that it does then."""
    async with AsyncExitStack() as stack:
        author = await stack.enter_async_context(author_on(instance))
        reviewer = Reviewer(await stack.enter_async_context(instance.api()))
        present, new = await author.draft(), await author.draft()
        await reviewer.approve(await author.ask(present))
        asked = await author.ask(new)

        await seen(author, present)
        clients = [
            await stack.enter_async_context(
                driven(
                    driver,
                    url=instance.gateway_url,
                    token=instance.client_token,
                    tool=present.callable_name,
                    new_tool=new.callable_name,
                )
            )
            for driver in DRIVERS
        ]
        before = await each(clients, "listed")
        called = await each(clients, "called")
        await each(clients, "ready")
        await reviewer.approve(asked)
        await seen(author, new)
        for client in clients:
            if not client.driver.hears:
                client.look()
        await each((client for client in clients if client.driver.hears), "told")
        after = await each(clients, "listed again")

    for name, names in before.items():
        assert present.callable_name in names, name
        assert new.callable_name not in names, name
    assert called == {str(driver): {"sum": 42} for driver in DRIVERS}
    assert {name: new.callable_name in names for name, names in after.items()} == {
        str(driver): True for driver in DRIVERS
    }


async def seen(author: Author, draft: Draft) -> None:
    """By everybody who asks: the gateway hears of a release from the database."""

    async def listed() -> bool:
        return draft.callable_name in await author.tool_names()

    await eventually(listed)


async def each(clients: Iterable[Driven], what: str) -> dict[str, Any]:
    """``{driver: what it told}``."""
    telling = list(clients)
    told = await asyncio.gather(*(client.told(what) for client in telling))
    return {str(client.driver): found for client, found in zip(telling, told, strict=True)}
