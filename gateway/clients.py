"""Who a bearer token belongs to, kept in memory and forgotten the moment a client changes."""

import hashlib
import time
from collections.abc import Awaitable, Callable, Collection

import anyio
import structlog

from gateway.catalog import TRUST_S
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Unauthenticated, Unavailable
from mcpbox.domain.ids import ClientId
from mcpbox.domain.people import Client, Principal, PrincipalKind

SEEN_EVERY_S = 60.0
_CACHE_MAX = 4096
_AUTHENTICATE_TIMEOUT_S = 5.0

log = structlog.get_logger()
Authenticate = Callable[[str], Awaitable[Client]]
RecordSeen = Callable[[Collection[ClientId]], Awaitable[None]]


class KnownClients:
    def __init__(
        self,
        authenticate: Authenticate,
        record_seen: RecordSeen,
        lost_at: Callable[[], float | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``lost_at``: since when no revocation can reach us (seconds of ``clock``), if so."""
        self._authenticate = authenticate
        self._record_seen = record_seen
        self._lost_at = lost_at
        self._clock = clock
        self._known: dict[str, Client | None] = {}
        self._generation = 0
        self._seen: set[ClientId] = set()
        self._anybody_seen = anyio.Event()

    async def identify(self, token: str) -> Client:
        """Raises: Unauthenticated; Unavailable: it cannot be known now."""
        key = hashlib.sha256(token.encode()).hexdigest()
        client = self._known.get(key)
        if key not in self._known or self._in_doubt:
            client = await self._ask(token, key)
        if client is None:
            raise Unauthenticated("This token is unknown or was revoked.")
        if client.expired_at(utc_now()):
            raise Unauthenticated(
                "This token has expired; whoever made it makes a new one with "
                "'mcpbox clients rotate'."
            )
        self._seen.add(client.id)
        self._anybody_seen.set()
        return client

    def changed(self) -> None:
        """A client was made or revoked: forget everybody."""
        self._known.clear()
        self._generation += 1

    async def run(self) -> None:
        """Record who was seen, at most once a minute, beside the requests themselves."""
        while True:
            await self._anybody_seen.wait()
            seen, self._seen, self._anybody_seen = self._seen, set(), anyio.Event()
            try:
                await self._record_seen(seen)
            except Unavailable:
                log.warning("clients.seen_not_recorded", clients=len(seen))
                self._seen |= seen
                self._anybody_seen.set()
            await anyio.sleep(SEEN_EVERY_S)

    @property
    def _in_doubt(self) -> bool:
        lost_at = self._lost_at()
        return lost_at is not None and self._clock() - lost_at > TRUST_S

    async def _ask(self, token: str, key: str) -> Client | None:
        generation = self._generation
        try:
            client = await self._authenticated(token)
        except Unavailable:
            # Whoever was known may go on: without Postgres every call and change is refused
            # anyway, and the client then reads why.
            known = self._known.get(key)
            if known is None:
                raise
            return known
        if generation == self._generation:
            if len(self._known) >= _CACHE_MAX:
                self._known.clear()
            self._known[key] = client
        return client

    async def _authenticated(self, token: str) -> Client | None:
        try:
            with anyio.fail_after(_AUTHENTICATE_TIMEOUT_S):
                return await self._authenticate(token)
        except Unauthenticated:
            return None
        except TimeoutError as error:
            raise Unavailable("Postgres") from error


def principal_of(client: Client) -> Principal:
    return Principal(
        kind=PrincipalKind.CLIENT,
        name=client.name,
        scopes=client.scopes,
        servers=client.servers,
    )
