"""FastMCP's client, in the mode that it is told; beyond the older era it does not listen."""

import asyncio
import sys
from typing import Any

import httpx2
import mcp_types
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from story import ARGUMENTS, HEADERS, TOOL, URL, opening, play


async def main(mode: str) -> None:
    listening, changed = asyncio.Event(), asyncio.Event()

    def http(**options: Any) -> httpx2.AsyncClient:
        options.setdefault("timeout", 60)
        return httpx2.AsyncClient(**options, event_hooks=opening(listening))

    async def on_message(message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            changed.set()

    transport = StreamableHttpTransport(URL, headers=HEADERS, httpx_client_factory=http)
    async with Client(transport, mode=mode, message_handler=on_message) as client:

        async def names() -> list[str]:
            return [tool.name for tool in await client.list_tools()]

        async def call() -> Any:
            return (await client.call_tool(TOOL, ARGUMENTS)).structured_content

        if mode == "legacy":
            await play(names, call, listening=listening, changed=changed)
        else:
            await play(names, call)


asyncio.run(main(sys.argv[1]))
