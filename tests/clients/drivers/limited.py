"""The Python SDK, before its second version, past its rate limit: its connection has to last."""

import asyncio
import sys

from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client
from story import ARGUMENTS, HEADERS, TOOL, URL, tell


async def main() -> None:
    async with (
        streamablehttp_client(URL, headers=HEADERS) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        tell("ready")
        await asyncio.to_thread(sys.stdin.readline)
        refused = await session.call_tool(TOOL, ARGUMENTS)
        tell("refused", [refused.isError, refused.content[0].text])
        try:
            await session.list_tools()
        except McpError as error:
            tell("not listed", [error.error.code, error.error.message])
        await asyncio.to_thread(sys.stdin.readline)
        tell("called", (await session.call_tool(TOOL, ARGUMENTS)).structuredContent)


asyncio.run(main())
