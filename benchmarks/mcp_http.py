"""MCP clients of both protocol eras that do little but HTTP, so that they measure the server."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Literal, cast

import aiohttp

from benchmarks.samples import BenchmarkFailed

Era = Literal["2026-07-28", "2025-11-25"]
ERAS: tuple[Era, ...] = ("2026-07-28", "2025-11-25")

_INFO = {"name": "mcpbox-benchmarks", "version": "1"}
_META_PREFIX = "io.modelcontextprotocol/"
_META = {
    f"{_META_PREFIX}protocolVersion": "2026-07-28",
    f"{_META_PREFIX}clientCapabilities": {},
    f"{_META_PREFIX}clientInfo": _INFO,
}
_LIST_CHANGED = b"notifications/tools/list_changed"


class McpRefused(Exception):
    """The protocol's own error, for instance: no such tool."""


class McpClient:
    """One client, one call at a time; made by :func:`connected`."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, era: Era, token: str | None = None
    ) -> None:
        self._http = http
        self._url = url
        self._era = era
        self._ids = count(1)
        self._headers = {
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
        }
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    async def handshake(self) -> None:
        """Only the older era knows one."""
        if self._era == "2026-07-28":
            self._headers["mcp-protocol-version"] = self._era
            return
        given = {"protocolVersion": self._era, "capabilities": {}, "clientInfo": _INFO}
        body = self._body("initialize", given)
        async with self._http.post(self._url, data=body, headers=self._headers) as answer:
            _result_in(answer.status, await answer.read())
            session = {"mcp-session-id": answer.headers["mcp-session-id"]}
        self._headers |= {**session, "mcp-protocol-version": self._era}
        note = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
        async with self._http.post(self._url, data=note, headers=self._headers) as answer:
            answer.raise_for_status()

    async def goodbye(self) -> None:
        if "mcp-session-id" in self._headers:
            async with self._http.delete(self._url, headers=self._headers):
                pass

    async def list_tools(self) -> list[dict[str, Any]]:
        """The first page, which holds them all at our servers."""
        body = self._body("tools/list", {})
        headers = self._headers_for("tools/list")
        async with self._http.post(self._url, data=body, headers=headers) as answer:
            return _result_in(answer.status, await answer.read())["tools"]

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The structured answer. Raises: McpRefused; BenchmarkFailed: the tool itself failed."""
        body = self._body("tools/call", {"name": tool, "arguments": arguments})
        headers = self._headers_for("tools/call", tool)
        async with self._http.post(self._url, data=body, headers=headers) as answer:
            result = _result_in(answer.status, await answer.read())
        if result.get("isError"):
            raise BenchmarkFailed(f"{tool}: {result['content']}")
        return result["structuredContent"]

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[asyncio.Event]:
        """The event is set whenever the server says that its list of tools has changed."""
        changed = asyncio.Event()
        listener = asyncio.create_task(self._listen(changed))
        try:
            yield changed
        finally:
            listener.cancel()
            await asyncio.wait((listener,))

    async def _listen(self, changed: asyncio.Event) -> None:
        forever = aiohttp.ClientTimeout(total=None)
        if self._era == "2026-07-28":
            wanted = {"notifications": {"toolsListChanged": True}}
            opening = self._http.post(
                self._url,
                data=self._body("subscriptions/listen", wanted),
                headers=self._headers_for("subscriptions/listen"),
                timeout=forever,
            )
        else:
            opening = self._http.get(self._url, headers=self._headers, timeout=forever)
        async with opening as stream:
            stream.raise_for_status()
            async for line in stream.content:
                if _LIST_CHANGED in line:
                    changed.set()

    def _body(self, method: str, params: dict[str, Any]) -> str:
        if self._era == "2026-07-28":
            params = {**params, "_meta": _META}
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        return json.dumps(request)

    def _headers_for(self, method: str, name: str = "") -> dict[str, str]:
        if self._era == "2025-11-25":
            return self._headers
        named = {"mcp-name": name} if name else {}
        return {**self._headers, "mcp-method": method, **named}


@asynccontextmanager
async def connected(
    url: str, era: Era, *, clients: int = 1, token: str | None = None
) -> AsyncGenerator[list[McpClient]]:
    """Each with a connection of its own."""
    http = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=30)
    )
    async with http:
        made = [McpClient(http, url, era, token) for _ in range(clients)]
        for client in made:
            await client.handshake()
        yield made
        for client in made:
            await client.goodbye()


def _result_in(status: int, body: bytes) -> dict[str, Any]:
    """Of a plain answer, or of one that is a stream of events.

    Raises: McpRefused; BenchmarkFailed.
    """
    lines = [body] if body.startswith(b"{") else body.splitlines()
    for line in lines:
        start = line.find(b"{")
        if start < 0:
            continue
        message = cast("dict[str, Any]", json.loads(line[start:]))
        if "result" in message:
            return message["result"]
        if "jsonrpc" in message and "error" in message:
            raise McpRefused(message["error"]["message"])
    raise BenchmarkFailed(f"The server answered {status}: {body[:500]!r}")
