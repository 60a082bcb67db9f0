"""Reads what a source offers: all of it, or nothing."""

import asyncio
from collections.abc import Iterable

from mcp import Client, MCPError
from mcp_types import Tool
from pydantic import SecretStr

from mcpbox.addresses import Resolver, resolve
from mcpbox.domain.errors import SourceFailed
from mcpbox.domain.external_sources import LISTING_MAX_BYTES, TOOLS_MAX, ListedTool, Listing
from mcpbox.domain.upstreams import HttpEndpoint
from mcpbox.upstream.asking import asking
from mcpbox.upstream.session import connected

LISTING_TIMEOUT_S = 45.0
"""From the connection to the last page."""
_PAGES_MAX = 100
_NAME_MAX_CHARS = 200


class Reader:
    def __init__(
        self, *, timeout_s: float = LISTING_TIMEOUT_S, resolver: Resolver = resolve
    ) -> None:
        self._timeout_s = timeout_s
        self._resolver = resolver

    async def list_tools(
        self, endpoint: HttpEndpoint, secret: SecretStr | None, *, allow_private: bool
    ) -> Listing:
        """By name. Whether it may be reached is for its caller to ask. Raises: SourceFailed."""
        try:
            with asking():
                async with (
                    asyncio.timeout(self._timeout_s),
                    connected(
                        endpoint, secret, allow_private=allow_private, resolver=self._resolver
                    ) as client,
                ):
                    return await listing_of(client)
        except MCPError as error:
            raise SourceFailed(f"It does not list its tools (error {error.code}).") from error


async def listing_of(client: Client) -> Listing:
    """Raises: SourceFailed; and what :func:`asking` knows."""
    gathered = _Gathered()
    cursor = None
    for _ in range(_PAGES_MAX):
        page = await client.list_tools(cursor=cursor)
        gathered.add(page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return _listing(client, gathered.tools)
    raise SourceFailed(f"Its list has no end: {_PAGES_MAX} pages were read.")


def listing_from(tools: Iterable[Tool]) -> Listing:
    """What a source offers that was not asked over the network. Raises: SourceFailed."""
    gathered = _Gathered()
    gathered.add(tools)
    return Listing(tools=gathered.tools)


class _Gathered:
    def __init__(self) -> None:
        self._found: dict[str, ListedTool] = {}
        self._size = 0

    @property
    def tools(self) -> tuple[ListedTool, ...]:
        """By name."""
        return tuple(sorted(self._found.values(), key=lambda tool: tool.name))

    def add(self, tools: Iterable[Tool]) -> None:
        """Raises: SourceFailed: more than is looked at, or two of one name."""
        for tool in map(listed_tool, tools):
            if tool.name in self._found:
                raise SourceFailed("It lists two tools of one name.")
            self._found[tool.name] = tool
            self._size += _size(tool)
        if len(self._found) > TOOLS_MAX or self._size > LISTING_MAX_BYTES:
            raise SourceFailed(
                f"It lists more than is looked at: {TOOLS_MAX} tools, "
                f"{LISTING_MAX_BYTES // 2**20} MiB."
            )


def _listing(client: Client, tools: tuple[ListedTool, ...]) -> Listing:
    server = client.server_info
    return Listing(
        tools=tools,
        server_name=_short(server.name if server else ""),
        server_version=_short(server.version if server else ""),
        protocol=client.protocol_version,
    )


def listed_tool(tool: Tool) -> ListedTool:
    """As it is kept; what else the protocol says of a tool is not looked at."""
    hints = tool.annotations
    return ListedTool(
        name=tool.name,
        title=tool.title or (hints.title if hints else None) or "",
        description=tool.description or "",
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=hints.model_dump(by_alias=True, exclude_none=True) if hints else {},
    )


def _size(tool: ListedTool) -> int:
    """Raises: SourceFailed: it holds what no database keeps."""
    text = tool.model_dump_json()
    if "\\u0000" in text.replace("\\\\", ""):
        raise SourceFailed("It lists a tool with NUL characters in it.")
    return len(text)


def _short(text: str) -> str:
    return text.replace("\0", "")[:_NAME_MAX_CHARS]
