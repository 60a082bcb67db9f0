"""Other people's MCP servers, on sockets of their own: honest ones, and whatever else answers."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp.server.models import InitializationOptions
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WAIT_S = 30.0
_METADATA = "/.well-known/oauth-protected-resource"
Context = ServerRequestContext[Any]
Answer = Callable[[Context, CallToolRequestParams], Awaitable[CallToolResult]]


def a_tool(name: str = "echo", **changes: Any) -> Tool:
    fields: dict[str, Any] = {
        "name": name,
        "description": f"Says {name}.",
        "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
    }
    return Tool(**(fields | changes))


async def echo(_: Context, params: CallToolRequestParams) -> CallToolResult:
    text = str((params.arguments or {}).get("text", ""))
    return CallToolResult(content=[TextContent(text=text)])


class _Announcing(Server[Any]):
    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        return super().create_initialization_options(
            NotificationOptions(tools_changed=True), experimental_capabilities, extensions
        )


class Source:
    """An MCP server of the official SDK; what it offers and answers can be changed at any time."""

    def __init__(self, *tools: Tool, era: str | None = None, page_size: int = 100) -> None:
        """``era``: the only one that it speaks."""
        self.tools = list(tools or (a_tool(),))
        self.answer: Answer = echo
        self.asked: list[Request] = []
        """Every HTTP request, in its order."""
        self.calls: list[CallToolRequestParams] = []
        self.token: str | None = None
        """Without which, as bearer token, nothing is answered."""
        self.issuer: str | None = None
        """Where people sign in for it, if they do."""
        self.takes: Callable[[str], bool] | None = None
        """Which access tokens it takes, in place of one token."""
        self.url = ""
        self.broken = False
        """It takes calls, and breaks off before it answers any."""
        self.broken_off = 0
        self._era = era
        self._page_size = page_size
        self._bus = InMemorySubscriptionBus()
        self._sessions: set[Any] = set()
        self._manager = self._managed()

    @property
    def app(self) -> ASGIApp:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncGenerator[None]:
            async with self._manager.run():
                yield

        return Starlette(routes=[Mount("/", app=self._serve)], lifespan=lifespan)

    async def change(self, *tools: Tool) -> None:
        """And say so, to whoever listens."""
        self.tools = list(tools)
        await self._bus.publish(ToolsListChanged())
        for session in tuple(self._sessions):
            await session.send_tool_list_changed()

    def forget_sessions(self) -> None:
        """As a source does that was restarted."""
        for session_id in tuple(self._manager._server_instances):  # pyright: ignore[reportPrivateUsage]
            self._manager._server_instances.pop(session_id)  # pyright: ignore[reportPrivateUsage]

    def asked_with(self, header: str) -> list[str | None]:
        return [request.headers.get(header) for request in self.asked]

    def _managed(self) -> StreamableHTTPSessionManager:
        server = _Announcing(
            "shop",
            version="7",
            on_list_tools=self._list,
            on_call_tool=self._call,
            on_subscriptions_listen=ListenHandler(self._bus),
        )
        return StreamableHTTPSessionManager(server)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.asked.append(request)
        modern = request.headers.get("mcp-protocol-version", "").startswith("2026")
        if request.url.path.startswith(_METADATA):
            await JSONResponse(self._metadata)(scope, receive, send)
        elif self.takes is not None and not self.takes(_bearer(request)):
            where = f"{self.url.removesuffix('/mcp')}{_METADATA}/mcp"
            headers = {"www-authenticate": f'Bearer resource_metadata="{where}"'}
            await JSONResponse({"error": "invalid_token"}, 401, headers)(scope, receive, send)
        elif self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            await JSONResponse({"error": "invalid_token"}, 401)(scope, receive, send)
        elif self._era is not None and modern != (self._era == "2026-07-28"):
            await JSONResponse({"error": "what is that?"}, 400)(scope, receive, send)
        elif self.broken:
            body = await request.body()
            if b'"tools/call"' in body:
                await self._break_off(send)
            await self._manager.handle_request(scope, _again(body, receive), send)
        else:
            await self._manager.handle_request(scope, receive, send)

    @property
    def _metadata(self) -> dict[str, Any]:
        """Source: RFC 9728."""
        return {
            "resource": self.url,
            "authorization_servers": [self.issuer],
            "scopes_supported": ["mcpbox:call"],
        }

    async def _break_off(self, send: Send) -> None:
        self.broken_off += 1
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ConnectionAbortedError

    async def _list(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        self._sessions.add(context.session)
        begin = int(params.cursor) if params is not None and params.cursor else 0
        end = begin + self._page_size
        return ListToolsResult(
            tools=self.tools[begin:end],
            next_cursor=str(end) if end < len(self.tools) else None,
        )

    async def _call(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        self.calls.append(params)
        return await self.answer(context, params)


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _again(body: bytes, receive: Receive) -> Receive:
    """What was read of a request, to be read once more."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return messages.pop() if messages else await receive()

    return read


@asynccontextmanager
async def running_source(*tools: Tool, **options: Any) -> AsyncGenerator[Source]:
    source = Source(*tools, **options)
    async with served(source.app) as address:
        source.url = f"{address}/mcp"
        yield source


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str]:
    """Its address, without a slash behind."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = _Telling(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(WAIT_S):
        await server.is_up.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        async with asyncio.timeout(WAIT_S):
            await serving


class _Telling(uvicorn.Server):
    """Says when it is up, so that nobody has to poll for it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self.is_up.set()
