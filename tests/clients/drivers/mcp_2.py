"""The Python SDK in its second version, in the era that it is told."""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import mcp.types as mcp_types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ToolsListChanged
from story import ARGUMENTS, HEADERS, TOOL, URL, opening, play


async def main(era: str) -> None:
    listening, changed = asyncio.Event(), asyncio.Event()

    async def on_message(message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            changed.set()

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx2.AsyncClient(headers=HEADERS, timeout=60, event_hooks=opening(listening))
        )
        client = await stack.enter_async_context(
            Client(
                streamable_http_client(URL, http_client=http), mode=era, message_handler=on_message
            )
        )

        async def hear() -> None:
            async with client.listen(tools_list_changed=True) as events:
                listening.set()
                async for event in events:
                    if isinstance(event, ToolsListChanged):
                        changed.set()

        if era != "legacy":
            hearing = asyncio.create_task(hear())
            stack.callback(hearing.cancel)

        async def names() -> list[str]:
            return [tool.name for tool in (await client.list_tools()).tools]

        async def call() -> Any:
            return (await client.call_tool(TOOL, ARGUMENTS)).structured_content

        await play(names, call, listening=listening, changed=changed)


asyncio.run(main(sys.argv[1]))
