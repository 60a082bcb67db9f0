"""Tells connected clients, of both eras: the list of tools has changed, a request has moved."""

from collections.abc import Collection
from typing import Any

import anyio
import structlog
from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp_types import NotificationParams

SESSION_HEADER = "mcp-session-id"
_SEND_TIMEOUT_S = 5.0
MAX_LISTENERS = 1024
MAX_SUBSCRIPTIONS = 100
"""Of one session; the oldest is forgotten."""
Context = ServerRequestContext[Any, Any]

log = structlog.get_logger()


class Announcer:
    """Handshake-era sessions register themselves; modern clients listen on the bus."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self.bus, max_subscriptions=MAX_LISTENERS)
        self._sessions: dict[str, ServerSession] = {}
        self._subscribed: dict[str, dict[str, None]] = {}
        self._changed = anyio.Event()
        self._list_changed = False
        self._updated: set[str] = set()

    def __len__(self) -> int:
        """Registered handshake-era sessions."""
        return len(self._sessions)

    async def register(self, context: Context, _: NotificationParams) -> None:
        """Handler of ``notifications/initialized``."""
        session_id = _session_id(context)
        self._sessions[session_id] = context.session
        # The SDK has no public hook for the end of a session, and sessions end unnoticed often.
        ending = context.session._connection.exit_stack  # pyright: ignore[reportPrivateUsage]
        ending.callback(self._forget, session_id)

    def subscribe(self, context: Context, uri: str) -> None:
        """Of a handshake-era session that has registered itself."""
        session_id = _session_id(context)
        if session_id not in self._sessions:
            return
        uris = self._subscribed.setdefault(session_id, {})
        uris[uri] = None
        if len(uris) > MAX_SUBSCRIPTIONS:
            del uris[next(iter(uris))]

    def unsubscribe(self, context: Context, uri: str) -> None:
        self._subscribed.get(_session_id(context), {}).pop(uri, None)

    def changed(self) -> None:
        """The list of tools."""
        self._list_changed = True
        self._changed.set()

    def updated(self, uri: str) -> None:
        """A resource."""
        self._updated.add(uri)
        self._changed.set()

    async def run(self) -> None:
        """Changes that come while clients are being told are told together, once."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            list_changed, self._list_changed = self._list_changed, False
            updated, self._updated = self._updated, set()
            for uri in updated:
                await self.bus.publish(ResourceUpdated(uri))
            if list_changed:
                await self.bus.publish(ToolsListChanged())
            async with anyio.create_task_group() as sending:
                for session_id, session in self._sessions.items():
                    uris = updated.intersection(self._subscribed.get(session_id, ()))
                    if list_changed or uris:
                        sending.start_soon(_tell, session, list_changed, uris)
            if list_changed:
                log.info("tools_list.announced", sessions=len(self._sessions))

    def _forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        self._subscribed.pop(session_id, None)

    def close(self) -> None:
        """End every modern listening stream in good order."""
        self.listen.close()


async def _tell(session: ServerSession, list_changed: bool, uris: Collection[str]) -> None:
    # A client that stopped reading must not hold up the next announcement.
    with anyio.move_on_after(_SEND_TIMEOUT_S):
        if list_changed:
            await session.send_tool_list_changed()
        for uri in uris:
            await session.send_resource_updated(uri)


def _session_id(context: Context) -> str:
    """The transport's; without HTTP, one of our own."""
    header = context.request.headers.get(SESSION_HEADER) if context.request is not None else None
    return header or f"local-{id(context.session)}"
