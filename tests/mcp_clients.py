"""Real MCP clients of both protocol eras, and the steps that most stories begin with."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import uuid4

import httpx2
import mcp.types as mcp_types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ToolsListChanged

from tests.instances import Installed

Era = Literal["legacy", "2026-07-28"]
ERAS: tuple[Era, ...] = ("legacy", "2026-07-28")
ADD = """async def main(a: int, b: int = 2) -> dict:
    print("adding")
    return {"sum": a + b}
"""


class Author:
    """An LLM's side of the story."""

    def __init__(self, client: Client, changed: asyncio.Event) -> None:
        self.client = client
        self.changed = changed
        """Set when the gateway says that the list of tools has changed."""

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a call that must succeed."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        return cast("dict[str, Any]", result.structured_content)

    async def failure(self, tool: str, **arguments: Any) -> str:
        """The text of a call that must fail."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.content
        return " ".join(c.text for c in result.content if isinstance(c, mcp_types.TextContent))

    async def tool_names(self) -> list[str]:
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def create_server(self) -> tuple[str, str]:
        """Id and name of a new one."""
        name = f"s{uuid4().hex[:8]}"
        made = await self.call("mcpbox_create_server", name=name, description="For a test.")
        return made["id"], name

    async def draft(self, code: str = ADD, *, name: str = "add", **more: Any) -> "Draft":
        """A tool on a server of its own."""
        server_id, server_name = await self.create_server()
        made = await self.call(
            "mcpbox_create_tool", server_id=server_id, name=name, python_code=code, **more
        )
        return Draft(made["id"], server_id, f"{server_name}__{name}")

    async def ask(self, draft: "Draft", **more: Any) -> str:
        """Id of the request to publish it."""
        asked = await self.call("mcpbox_request_publish", tool_id=draft.tool_id, **more)
        return asked["request_id"]


@dataclass(frozen=True)
class Draft:
    tool_id: str
    server_id: str
    callable_name: str


@asynccontextmanager
async def author_on(
    instance: Installed, era: Era = "2026-07-28", *, token: str | None = None
) -> AsyncGenerator[Author]:
    """Connected, and listening for changes of the list of tools."""
    changed = asyncio.Event()

    async def on_message(message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            changed.set()

    headers = {"authorization": f"Bearer {token or instance.client_token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(
            streamable_http_client(instance.gateway_url, http_client=http),
            mode=era,
            message_handler=on_message,
            read_timeout_seconds=30,
        ) as client,
    ):
        if era == "legacy":
            yield Author(client, changed)
            return
        async with client.listen(tools_list_changed=True) as events:

            async def listen() -> None:
                async for event in events:
                    if isinstance(event, ToolsListChanged):
                        changed.set()

            listening = asyncio.create_task(listen())
            try:
                yield Author(client, changed)
            finally:
                listening.cancel()
