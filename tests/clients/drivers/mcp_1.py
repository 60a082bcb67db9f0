"""The Python SDK, before its second version; it speaks the older era alone."""

import asyncio
from typing import Any

import httpx
from mcp import ClientSession, types
from mcp.client.streamable_http import streamablehttp_client
from story import ARGUMENTS, HEADERS, TOOL, URL, opening, play


async def main() -> None:
    listening, changed = asyncio.Event(), asyncio.Event()

    def http(**options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(**options, event_hooks=opening(listening))

    async def on_message(message: object) -> None:
        if isinstance(message, types.ServerNotification) and isinstance(
            message.root, types.ToolListChangedNotification
        ):
            changed.set()

    async with (
        streamablehttp_client(URL, headers=HEADERS, httpx_client_factory=http) as (read, write, _),
        ClientSession(read, write, message_handler=on_message) as session,
    ):
        await session.initialize()

        async def names() -> list[str]:
            return [tool.name for tool in (await session.list_tools()).tools]

        async def call() -> Any:
            return (await session.call_tool(TOOL, ARGUMENTS)).structuredContent

        await play(names, call, listening=listening, changed=changed)


asyncio.run(main())
