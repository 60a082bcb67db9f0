"""A gateway on a socket of its own, in this process: streams need a real server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import httpx2
import uvicorn
from mcp import Client
from mcp.client.session import ElicitationFnT, MessageHandlerFnT
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent
from starlette.types import ASGIApp

from gateway.app import Gateway, Serving
from tests.service.gateway.factories import WAIT_S, soon

TOKEN = "mcpbox_test_token"
METRICS_TOKEN = "a-token-for-prometheus"
Connect = Callable[..., AbstractAsyncContextManager[Client]]


@dataclass(frozen=True, slots=True)
class RunningGateway:
    gateway: Gateway
    server: Serving
    address: str
    ended: asyncio.Event

    @property
    def url(self) -> str:
        return f"{self.address}/mcp"

    @asynccontextmanager
    async def client(
        self,
        era: str,
        token: str = TOKEN,
        on_message: MessageHandlerFnT | None = None,
        *,
        path: str = "/mcp",
        elicit: ElicitationFnT | None = None,
    ) -> AsyncGenerator[Client]:
        async with self.http(token) as http:
            transport = streamable_http_client(self.address + path, http_client=http)
            async with Client(
                transport,
                mode=era,
                message_handler=on_message,
                elicitation_callback=elicit,
                read_timeout_seconds=WAIT_S,
            ) as client:
                yield client

    async def caught_up(self) -> None:
        await soon(self.gateway.catalog.settled())

    def http(self, token: str | None = TOKEN) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx2.AsyncClient(base_url=self.address, headers=headers, timeout=WAIT_S)


@asynccontextmanager
async def running(
    gateway: Gateway, wrapped: Callable[[ASGIApp], ASGIApp] = lambda app: app
) -> AsyncGenerator[RunningGateway]:
    config = uvicorn.Config(
        wrapped(gateway.app),
        host="127.0.0.1",
        port=0,
        http="h11",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = _Quiet(config, gateway)
    ended = asyncio.Event()
    serving = asyncio.create_task(server.serve())
    serving.add_done_callback(lambda _: ended.set())
    await soon(server.is_up.wait())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield RunningGateway(gateway, server, f"http://127.0.0.1:{port}", ended)
    finally:
        server.should_exit = True
        await soon(serving)


class _Quiet(Serving):
    """Says when it is up, so that nobody has to poll for it."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config, gateway)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self.is_up.set()


def text_of(result: CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, TextContent)
    return block.text
