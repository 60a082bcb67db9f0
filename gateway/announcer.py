"""Tells every connected client, of both protocol eras, that the list of tools has changed."""

from typing import Any

import anyio
import structlog
from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import NotificationParams

SESSION_HEADER = "mcp-session-id"
_SEND_TIMEOUT_S = 5.0
MAX_LISTENERS = 1024

log = structlog.get_logger()


class Announcer:
    """Handshake-era sessions register themselves; modern clients listen on the bus."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self.bus, max_subscriptions=MAX_LISTENERS)
        self._sessions: dict[str, ServerSession] = {}
        self._changed = anyio.Event()

    def __len__(self) -> int:
        """Registered handshake-era sessions."""
        return len(self._sessions)

    async def register(
        self, context: ServerRequestContext[Any, Any], _: NotificationParams
    ) -> None:
        """Handler of ``notifications/initialized``."""
        session_id = _session_id(context)
        self._sessions[session_id] = context.session
        # The SDK has no public hook for the end of a session, and sessions end unnoticed often.
        ending = context.session._connection.exit_stack  # pyright: ignore[reportPrivateUsage]
        ending.callback(self._sessions.pop, session_id, None)

    def changed(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Changes that come while clients are being told are told together, once."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            await self.bus.publish(ToolsListChanged())
            sessions = list(self._sessions.values())
            async with anyio.create_task_group() as sending:
                for session in sessions:
                    sending.start_soon(_tell, session)
            log.info("tools_list.announced", sessions=len(sessions))

    def close(self) -> None:
        """End every modern listening stream in good order."""
        self.listen.close()


async def _tell(session: ServerSession) -> None:
    # A client that stopped reading must not hold up the next announcement.
    with anyio.move_on_after(_SEND_TIMEOUT_S):
        await session.send_tool_list_changed()


def _session_id(context: ServerRequestContext[Any, Any]) -> str:
    """The transport's; without HTTP, one of our own."""
    header = context.request.headers.get(SESSION_HEADER) if context.request is not None else None
    return header or f"local-{id(context.session)}"
