"""Clients of those for whom somebody else vouches; each is made when it first comes (ADR 0035)."""

from uuid import uuid4

from sqlalchemy.exc import IntegrityError

from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Unauthenticated
from mcpbox.domain.identities import Identity
from mcpbox.domain.people import SYSTEM, Client, Scope
from mcpbox.store import clients, people
from mcpbox.store.audit import add_event
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.clients import ClientRow
from mcpbox.usecases.clients import IDENTITY_PREFIX


class Guests:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def admit(self, identity: Identity) -> Client:
        """With every scope: what vouches for it says which of them it has now.

        Raises: Unauthenticated: it was revoked, its owner is inactive or no user, or the name of
        its client is taken.
        """
        found = await self._find(identity)
        if found is None:
            await self._make(identity)
            found = await self._find(identity)
        if found is None:
            raise Unauthenticated("This identity is known and may not come in.")
        return found

    async def _find(self, identity: Identity) -> Client | None:
        async with reading(self._sessions) as session:
            return await clients.find_client_by_token(session, _hash_of_none(identity))

    async def _make(self, identity: Identity) -> None:
        """Nothing, where it exists: another gateway may have been quicker, or it was revoked."""
        row = ClientRow(
            id=uuid4(),
            name=identity.client_name,
            owner=identity.owner,
            scopes=sorted(Scope),
            token_hash=_hash_of_none(identity),
            created_at=utc_now(),
        )
        try:
            async with transaction(self._sessions) as session:
                if await people.find_reviewer(session, identity.owner) is None:
                    return
                session.add(row)
                await session.flush()
                add_event(
                    session,
                    actor=SYSTEM.label,
                    action=Action.CLIENT_CREATED,
                    subject=f"client:{row.id}",
                    detail=f"{row.name} of {row.owner}: vouched for by {identity.issuer}",
                )
        except IntegrityError:
            return


def _hash_of_none(identity: Identity) -> str:
    """Where others have the hash of their token: no token has this one."""
    return f"{IDENTITY_PREFIX}{identity.key}"
