"""MCP clients and their tokens; a token is shown once and kept only as a hash."""

import re
from collections.abc import Iterable
from uuid import uuid4

from sqlalchemy.exc import IntegrityError

from mcpbox.crypto import new_token, token_hash
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Invalid, NameTaken, NotFound, Unauthenticated
from mcpbox.domain.people import SYSTEM, Client, Principal, Scope
from mcpbox.policies.clients import may_keep_clients, may_make_client
from mcpbox.store import clients, people
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.clients import ClientRow

TOKEN_PREFIX = "mcpbox"  # noqa: S105 - how a token begins, not one
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Clients:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def create(
        self, by: Principal, *, name: str, owner: str, scopes: Iterable[Scope]
    ) -> tuple[Client, str]:
        """The token is returned here and never again.

        Raises: Refused; Invalid; NameTaken; NotFound: no such active owner.
        """
        may_make_client(by, owner).require()
        granted = sorted(set(scopes))
        if not granted:
            raise Invalid("Give the client at least one scope: author, call.")
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"{name[:80]!r} is not a client name: use small letters, digits, '.', '_' and "
                "'-', a letter or digit first, at most 63 characters."
            )
        token = new_token(TOKEN_PREFIX)
        row = ClientRow(
            id=uuid4(),
            name=name,
            owner=owner,
            scopes=list(granted),
            token_hash=token_hash(token),
            created_at=utc_now(),
        )
        try:
            async with transaction(self._sessions) as session:
                if await people.find_reviewer(session, owner) is None:
                    raise NotFound("active user", owner)
                session.add(row)
                await session.flush()
                announce(session, Topic.CLIENTS, row.id)
                await add_event(
                    session,
                    actor=by.label,
                    action=Action.CLIENT_CREATED,
                    subject=f"client:{row.id}",
                    detail=f"{name} of {owner}: {', '.join(granted)}",
                )
        except IntegrityError as error:
            raise NameTaken("client", name) from error
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
                await add_event(
                    session,
                    actor=by.label,
                    action=Action.CLIENT_REVOKED,
                    subject=f"client:{row.id}",
                    detail=name,
                )
            return clients.client_of(row)

    async def authenticate(self, token: str) -> Client:
        """Raises: Unauthenticated: unknown or revoked, which look alike."""
        async with transaction(self._sessions) as session:
            found = await clients.find_client_by_token(session, token_hash(token))
        if found is None:
            raise Unauthenticated(
                "This token is unknown or revoked; make a new one with 'mcpbox clients create'."
            )
        return found

    async def list(self, by: Principal) -> list[Client]:
        """Those that ``by`` may revoke; by name, revoked ones too."""
        async with transaction(self._sessions) as session:
            found = await clients.clients(session)
        return [client for client in found if may_keep_clients(by, client.owner)]


async def ensure_client(
    sessions: Sessions, name: str, scopes: Iterable[Scope], *, owner: str = "admin"
) -> str | None:
    """The token of a newly made client; ``None`` when it exists already."""
    try:
        _, token = await Clients(sessions).create(SYSTEM, name=name, owner=owner, scopes=scopes)
    except NameTaken:
        return None
    return token
