"""The floor: a bare server of the MCP SDK, in a process of its own, with a tool that does nothing.

What a call costs here is the price of the protocol; what the gateway costs beyond is ours.
"""

import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from starlette.applications import Starlette
from starlette.routing import Route

from benchmarks.beside import Listening, serving
from benchmarks.many_tools import many_tools
from benchmarks.tool import ANSWER, INPUT_SCHEMA

TOOL_NAME = "add"
_SUM = CallToolResult(content=[TextContent(text='{"sum": 3}')], structured_content=ANSWER)

Context = ServerRequestContext[Any, Any]


@contextmanager
def running_floor(tools: int = 0) -> Generator[Listening]:
    """``tools``: so many of :mod:`benchmarks.many_tools` beside the one that is called."""
    with serving("benchmarks.floor", str(tools)) as server:
        yield server


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    # The gateway's parser; the loop is the fastest that is installed.
    config = uvicorn.Config(
        _app(_listing(int(sys.argv[2]))),
        http="h11",
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _app(listing: list[Tool]) -> Starlette:
    async def list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=listing)

    server = Server[Any](
        "floor",
        version="1",
        get_tool_input_schema={tool.name: tool.input_schema for tool in listing}.get,
        on_list_tools=list_tools,
        on_call_tool=_call_tool,
    )
    manager = StreamableHTTPSessionManager(server)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Route("/mcp", StreamableHTTPASGIApp(manager))], lifespan=lifespan)


def _listing(tools: int) -> list[Tool]:
    called = Tool(name=TOOL_NAME, input_schema=INPUT_SCHEMA)
    others = [
        Tool(
            name=tool.name,
            description=tool.version.description,
            input_schema=tool.version.input_schema,
        )
        for tool in many_tools(tools)
    ]
    return [called, *others]


async def _call_tool(_: Context, __: CallToolRequestParams) -> CallToolResult:
    return _SUM


if __name__ == "__main__":
    main()
