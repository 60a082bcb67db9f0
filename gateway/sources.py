"""Sessions with external sources: one for each way to reach one, kept while it is used."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import anyio
import structlog
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp_types import ToolListChangedNotification
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import SecretStr

from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import SourceFailed, TooManyAttempts, Unavailable
from mcpbox.domain.external_sources import Listing
from mcpbox.domain.ids import Digest, SourceId
from mcpbox.domain.tools import ToolVersion
from mcpbox.domain.upstreams import Authentication, HttpEndpoint
from mcpbox.upstream.asking import asking
from mcpbox.upstream.reader import listing_of
from mcpbox.upstream.session import connected
from mcpbox.usecases.offers import said_now

IDLE_S = 300.0
OLD_S = 900.0
"""What a source offers is read anew after this at the latest, should it say nothing of changes."""
SESSIONS_MAX = 100
_OPEN_TIMEOUT_S = 30.0
_LISTEN_WAIT_S = 3.0
_LIST_AGAIN_S = 1.0
"""Between two looks at what a source offers, however often it says that this changed."""

log = structlog.get_logger()
SourceChecks = Callable[[SourceId], Awaitable[object]]
"""Asks for a durable check of a source. Raises: Unavailable."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A source, and all that decides how it is reached; what differs in it shares no session."""

    source_id: SourceId
    endpoint: HttpEndpoint
    secret: SecretStr | None
    allow_private: bool

    @property
    def lasting(self) -> "Reach":
        """The same before and after tokens are renewed, which changes nothing that anybody said."""
        renewable = self.endpoint.authentication is Authentication.OAUTH
        return replace(self, secret=None) if renewable else self


@dataclass(slots=True, eq=False)
class SourceSession:
    """One that is open, with what its source offers now."""

    reach: Reach
    client: Client | None = None
    failure: SourceFailed | None = None
    """Why it was not opened, or ended."""
    opened_at: float = 0.0
    in_use: int = 0
    used_at: float = 0.0
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while ``listing`` is what the source offers, or there is a failure."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    retired: bool = False
    _listing: Listing | None = None
    _offered: dict[Digest, bool] = field(default_factory=dict[Digest, bool])

    async def offers(self, version: ToolVersion) -> bool:
        """Whether its source says now what was approved. Raises: SourceFailed."""
        await self.listed.wait()
        if self._listing is None:
            raise self.failure or SourceFailed("It ended the session.")
        known = self._offered.get(version.digest)
        if known is None:
            said = said_now(self.reach.endpoint, self._listing.tools, version)
            known = said is not None and digest_of(said) == version.digest
            self._offered[version.digest] = known
        return known

    def heard(self, listing: Listing) -> None:
        self._listing = listing
        self._offered.clear()
        self.listed.set()

    def doubt(self) -> None:
        """Its source says that it offers something else: nothing is called before it is read."""
        self.listed.clear()
        self.changed.set()

    def end(self, failure: SourceFailed | None = None) -> None:
        self.failure = self.failure or failure
        self.retired = True
        self.released.set()
        self.listed.set()


class SourceSessions:
    def __init__(
        self,
        checks: SourceChecks,
        *,
        idle_s: float = IDLE_S,
        old_s: float = OLD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``checks``: told of sources that say that they changed."""
        self._checks = checks
        self._idle_s = idle_s
        self._old_s = old_s
        self._clock = clock
        self._kept: dict[Reach, SourceSession] = {}
        self._tasks: dict[SourceSession, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    @asynccontextmanager
    async def session(self, reach: Reach) -> AsyncGenerator[SourceSession]:
        """Opened where there is none. Raises: SourceFailed; TooManyAttempts."""
        kept = self._kept.get(reach)
        if kept is not None and self._clock() - kept.opened_at >= self._old_s:
            self.retire(kept)
            kept = None
        kept = kept or self._open(reach)
        kept.in_use += 1
        try:
            await kept.listed.wait()
            if kept.client is None:
                raise kept.failure or SourceFailed("It ended the session.")
            yield kept
        finally:
            kept.in_use -= 1
            kept.used_at = self._clock()
            kept.released.set()

    def retire(self, session: SourceSession) -> None:
        """No further call uses it; those in it may end."""
        session.retired = True
        session.released.set()
        self._forget(session)

    def keep_only(self, reaches: Collection[Reach]) -> None:
        """End, at once, whatever is open in a way in which nothing may be reached any more."""
        lasting = {reach.lasting for reach in reaches}
        for kept, task in tuple(self._tasks.items()):
            if kept.reach.lasting not in lasting:
                self._forget(kept)
                task.cancel()
            elif kept.reach not in reaches:
                self.retire(kept)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await self.settled()

    async def settled(self) -> None:
        """Until those that are told to end have ended; the others are waited for, too."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _open(self, reach: Reach) -> SourceSession:
        """Raises: TooManyAttempts."""
        self._make_room()
        now = self._clock()
        kept = self._kept[reach] = SourceSession(reach, opened_at=now, used_at=now)
        task = asyncio.create_task(self._keep(kept))
        self._tasks[kept] = task
        task.add_done_callback(lambda _: self._ended(kept))
        return kept

    def _make_room(self) -> None:
        if len(self._tasks) < SESSIONS_MAX:
            return
        idle = [kept for kept in self._kept.values() if not kept.in_use]
        if not idle:
            raise TooManyAttempts(
                f"{SESSIONS_MAX} sessions with external sources are in use. Nothing was run; try "
                "again in some seconds."
            )
        self.retire(min(idle, key=lambda kept: kept.used_at))

    async def _keep(self, kept: SourceSession) -> None:
        """In a task of its own, for as long as the session lasts."""
        reach = kept.reach

        async def hear(message: IncomingMessage) -> None:
            if isinstance(message, ToolListChangedNotification):
                kept.doubt()

        try:
            with asking():
                async with asyncio.timeout(_OPEN_TIMEOUT_S) as opening:
                    async with (
                        connected(
                            reach.endpoint,
                            reach.secret,
                            allow_private=reach.allow_private,
                            on_message=hear,
                        ) as client,
                        _listening(client, kept),
                    ):
                        listing = await listing_of(client)
                        kept.client = client
                        kept.heard(listing)
                        opening.reschedule(None)
                        await self._watch(kept, client)
        except MCPError as error:
            kept.end(SourceFailed(f"It refuses the session (error {error.code})."))
        except SourceFailed as failure:
            kept.end(failure)
        finally:
            kept.client = None
            kept.end()

    async def _watch(self, kept: SourceSession, client: Client) -> None:
        reading = asyncio.create_task(self._read_again(kept, client))
        try:
            while not self._is_over(kept):
                kept.released.clear()
                with anyio.move_on_after(self._idle_s):
                    await kept.released.wait()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _is_over(self, kept: SourceSession) -> bool:
        idle = self._clock() - kept.used_at >= self._idle_s
        return not kept.in_use and (kept.retired or idle)

    async def _read_again(self, kept: SourceSession, client: Client) -> None:
        while True:
            await kept.changed.wait()
            kept.changed.clear()
            try:
                with asking():
                    async with asyncio.timeout(_OPEN_TIMEOUT_S):
                        kept.heard(await listing_of(client))
            except (MCPError, SourceFailed):
                self._forget(kept)
                kept.end(SourceFailed("What it offers changed, and cannot be read."))
            await self.check(kept)
            await anyio.sleep(_LIST_AGAIN_S)

    async def check(self, kept: SourceSession) -> None:
        """Ask for a durable check of its source, where that can be asked for now."""
        try:
            await self._checks(kept.reach.source_id)
        except Unavailable:
            # The check on schedule finds it too; what differs is not called meanwhile.
            log.warning("source.check_not_requested", source=str(kept.reach.source_id))

    def _forget(self, kept: SourceSession) -> None:
        if self._kept.get(kept.reach) is kept:
            del self._kept[kept.reach]

    def _ended(self, kept: SourceSession) -> None:
        self._forget(kept)
        del self._tasks[kept]


@asynccontextmanager
async def _listening(client: Client, kept: SourceSession) -> AsyncGenerator[None]:
    """Where the source says what changes: before its list is read, so that nothing is missed."""
    tools = client.server_capabilities.tools
    if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or not (
        tools and tools.list_changed
    ):
        yield
        return
    begun = asyncio.Event()
    listening = asyncio.create_task(_listen(client, kept, begun))
    try:
        with anyio.move_on_after(_LISTEN_WAIT_S):
            await begun.wait()
        yield
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _listen(client: Client, kept: SourceSession, begun: asyncio.Event) -> None:
    try:
        with suppress(MCPError, SourceFailed), asking():
            async with client.listen(tools_list_changed=True) as events:
                begun.set()
                async for _ in events:
                    kept.doubt()
    finally:
        begun.set()
