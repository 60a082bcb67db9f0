"""MCP clients and their tokens; a token is shown once and kept only as a hash."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.exc import IntegrityError

from mcpbox.crypto import new_token, token_hash
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Conflict, Invalid, NameTaken, NotFound, Unauthenticated
from mcpbox.domain.people import SYSTEM, Client, Principal, Scope
from mcpbox.policies.clients import may_keep_clients, may_make_client
from mcpbox.store import clients, people
from mcpbox.store import servers as server_store
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.clients import ClientRow

IDENTITY_PREFIX = "identity:"
"""How the hash begins that stands for no token: of those for whom somebody else vouches."""
MAX_DAYS = 3650
MAX_GRACE = timedelta(days=7)
TOKEN_PREFIX = "mcpbox"  # noqa: S105 - how a token begins, not one
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Clients:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def create(
        self,
        by: Principal,
        *,
        name: str,
        owner: str,
        scopes: Iterable[Scope],
        days: int | None = None,
        servers: Iterable[str] = (),
    ) -> tuple[Client, str]:
        """The token is returned here and never again.

        ``days``: after these it ends by itself. ``servers``: names of the only ones whose tools it
        calls, for a client that writes none.

        Raises: Refused; Invalid; NameTaken; NotFound: no such active owner, or no such server.
        """
        may_make_client(by, owner).require()
        granted = sorted(set(scopes))
        if not granted:
            raise Invalid("Give the client at least one scope: author, call.")
        only = sorted(set(servers))
        if only and granted != [Scope.CALL]:
            raise Invalid(
                "A client for some servers alone can have the scope 'call' alone: whoever writes "
                "tools works on every server."
            )
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"{name[:80]!r} is not a client name: use small letters, digits, '.', '_' and "
                "'-', a letter or digit first, at most 63 characters."
            )
        token, now = new_token(TOKEN_PREFIX), utc_now()
        row = ClientRow(
            id=uuid4(),
            name=name,
            owner=owner,
            scopes=list(granted),
            servers=only,
            token_hash=token_hash(token),
            created_at=now,
            expires_at=_end_of(now, days),
        )
        try:
            async with transaction(self._sessions) as session:
                if await people.find_reviewer(session, owner) is None:
                    raise NotFound("active user", owner)
                if unknown := set(only) - await server_store.known_names(session, only):
                    raise NotFound("server", min(unknown))
                session.add(row)
                await session.flush()
                announce(session, Topic.CLIENTS, row.id)
                add_event(
                    session,
                    actor=by.label,
                    action=Action.CLIENT_CREATED,
                    subject=f"client:{row.id}",
                    detail=_told(row),
                )
        except IntegrityError as error:
            raise NameTaken("client", name) from error
        return clients.client_of(row), token

    async def rotate(
        self, by: Principal, name: str, *, grace: timedelta = timedelta(0), days: int | None = None
    ) -> tuple[Client, str]:
        """A new token, returned here and never again; the old one is good for the grace, if any.

        ``days``: how long the new one is good; left out, it ends when the old one would have.

        Raises: NotFound: or not theirs; Refused; Conflict: it is revoked; Invalid: the grace is too
            long, or the end has passed.
        """
        if not timedelta(0) <= grace <= MAX_GRACE:
            raise Invalid(f"The old token can stay good for at most {MAX_GRACE.days} days.")
        token, now = new_token(TOKEN_PREFIX), utc_now()
        async with transaction(self._sessions) as session:
            row = await clients.find_client(session, name, for_update=True)
            if row is None or not may_keep_clients(by, row.owner):
                raise NotFound("client", name)
            may_make_client(by, row.owner).require()
            if row.revoked_at is not None:
                raise Conflict(f"The client {name!r} is revoked; make another one.")
            if row.token_hash.startswith(IDENTITY_PREFIX):
                raise Conflict(f"{name!r} has no token of ours: somebody else vouches for it.")
            # An old token never outlives the end it had.
            until = min(now + grace, row.expires_at or now + grace)
            row.old_token_hash, row.old_token_until = row.token_hash, until
            row.token_hash = token_hash(token)
            if days is not None:
                row.expires_at = _end_of(now, days)
            elif row.expires_at is not None and row.expires_at <= now:
                raise Invalid("Its end has passed; say for how many days the new token is good.")
            announce(session, Topic.CLIENTS, row.id)
            add_event(
                session,
                actor=by.label,
                action=Action.CLIENT_ROTATED,
                subject=f"client:{row.id}",
                detail=f"{_told(row)}; the old token ends {until:%Y-%m-%d %H:%M} UTC",
            )
            return clients.client_of(row), token

    async def revoke(self, by: Principal, name: str) -> Client:
        """Takes effect at once. Raises: NotFound: or not theirs."""
        async with transaction(self._sessions) as session:
            row = await clients.find_client(session, name)
            if row is None or not may_keep_clients(by, row.owner):
                raise NotFound("client", name)
            if row.revoked_at is None:
                row.revoked_at = utc_now()
                announce(session, Topic.CLIENTS, row.id)
                add_event(
                    session,
                    actor=by.label,
                    action=Action.CLIENT_REVOKED,
                    subject=f"client:{row.id}",
                    detail=name,
                )
            return clients.client_of(row)

    async def authenticate(self, token: str) -> Client:
        """Expired ones too: see :meth:`Client.expired_at`.

        Raises: Unauthenticated: unknown or revoked, which look alike.
        """
        async with reading(self._sessions) as session:
            found = await clients.find_client_by_token(session, token_hash(token))
        if found is None:
            raise Unauthenticated(
                "This token is unknown or revoked; make a new one with 'mcpbox clients create'."
            )
        return found

    async def list(self, by: Principal) -> list[Client]:
        """Those that ``by`` may revoke; by name, revoked ones too."""
        async with reading(self._sessions) as session:
            found = await clients.clients(session)
        return [client for client in found if may_keep_clients(by, client.owner)]


def _end_of(now: datetime, days: int | None) -> datetime | None:
    """Raises: Invalid."""
    if days is None:
        return None
    if not 1 <= days <= MAX_DAYS:
        raise Invalid(f"A token can be good for 1 to {MAX_DAYS} days.")
    return now + timedelta(days=days)


def _told(row: ClientRow) -> str:
    told = f"{row.name} of {row.owner}: {', '.join(row.scopes)}"
    if row.servers:
        told += f" on {', '.join(row.servers)}"
    return told if row.expires_at is None else f"{told}, until {row.expires_at:%Y-%m-%d %H:%M} UTC"


async def ensure_client(
    sessions: Sessions, name: str, scopes: Iterable[Scope], *, owner: str = "admin"
) -> str | None:
    """The token of a newly made client; ``None`` when it exists already."""
    try:
        _, token = await Clients(sessions).create(SYSTEM, name=name, owner=owner, scopes=scopes)
    except NameTaken:
        return None
    return token
