"""What changed, told to every process over Postgres' LISTEN and NOTIFY."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

import asyncpg
import structlog
from sqlalchemy import Text, bindparam, event, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from mcpbox.store.session import CONNECT_TIMEOUT_S, plain_url

CHANNEL = "mcpbox"
_RETRY_S = 0.25
_PROBE_S = 2.0
log = structlog.get_logger()


class Topic(StrEnum):
    CATALOG = "catalog"
    """Releases, servers, tools, grants: what may be called."""
    REQUESTS = "requests"
    CLIENTS = "clients"
    EXECUTIONS = "executions"
    AUDIT = "audit"
    POLICY = "policy"
    """The review policy, the security settings in it included."""
    RECOVERY = "recovery"
    NOTICES = "notices"
    PEOPLE = "people"
    PROBATIONS = "probations"
    SOURCES = "sources"
    """External sources: how they are, and what they offer."""


_TOPICS = frozenset(topic.value for topic in Topic)
_ANNOUNCED = "announced"
_PAYLOADS = func.unnest(bindparam("payloads", type_=ARRAY(Text))).column_valued("payload")
TOLD = select(func.count(func.pg_notify(CHANNEL, _PAYLOADS))).scalar_subquery()
"""Tells the ``payloads``, as part of any statement."""
_TELL = select(TOLD)


def announce(session: AsyncSession, topic: Topic, key: object = "") -> None:
    """Delivered when the transaction commits, and only then; all of it with one statement."""
    announced: dict[str, None] = session.info.setdefault(_ANNOUNCED, {})
    announced[f"{topic}:{key}"] = None


def taken_from(session: Session) -> list[str]:
    """What was announced so far, for who tells it instead of us."""
    return list(session.info.pop(_ANNOUNCED, ()))


@event.listens_for(Session, "before_commit")
def _tell(session: Session) -> None:
    if payloads := taken_from(session):
        session.execute(_TELL, {"payloads": payloads})


class Changes:
    """Listens for ever; reconnects by itself.

    Notifications sent while the connection was lost are gone, so ``on_connected`` fires after
    every connect and its receiver reloads all it keeps.
    """

    def __init__(
        self,
        database_url: str,
        on_change: Callable[[Topic, str], None],
        on_connected: Callable[[], None],
    ) -> None:
        self._url = plain_url(database_url)
        self._on_change = on_change
        self._on_connected = on_connected
        self.lost_at: float | None = time.monotonic()
        """When the connection was lost (monotonic seconds); ``None`` while it stands."""

    @property
    def connected(self) -> bool:
        return self.lost_at is None

    async def run(self) -> None:
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await self._listen()
            if self.lost_at is None:
                self.lost_at = time.monotonic()
                log.warning("changes.connection_lost")
            await asyncio.sleep(_RETRY_S)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            self._url, timeout=CONNECT_TIMEOUT_S, command_timeout=CONNECT_TIMEOUT_S
        )
        try:
            ended = asyncio.Event()
            connection.add_termination_listener(_setting(ended))
            await connection.add_listener(CHANNEL, self._received)
            self.lost_at = None
            self._on_connected()
            while not ended.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _PROBE_S)
                if not ended.is_set():
                    # A peer that vanished without a word is noticed only by asking.
                    await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    def _received(self, _: object, __: int, ___: str, payload: object) -> None:
        topic, _, key = str(payload).partition(":")
        if topic in _TOPICS:
            self._on_change(Topic(topic), key)


def _setting(event: asyncio.Event) -> Callable[[object], None]:
    def ended(_: object) -> None:
        event.set()

    return ended
