"""In memory: the clients of those for whom somebody else vouches."""

from uuid import uuid4

from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Unauthenticated
from mcpbox.domain.identities import Identity
from mcpbox.domain.ids import ClientId
from mcpbox.domain.people import Client, Scope
from mcpbox.store.changes import Topic
from tests.service.gateway.world import World


class InMemoryGuests:
    def __init__(self, world: World) -> None:
        self._world = world
        self._revoked: set[str] = set()
        self._by_key: dict[str, Client] = {}

    @property
    def made(self) -> list[Client]:
        return list(self._by_key.values())

    async def admit(self, token: str) -> Client:
        identity = Identity.model_validate_json(token)
        self._world.require_postgres()
        client = self._by_key.setdefault(
            identity.key,
            Client(
                id=ClientId(uuid4()),
                name=identity.client_name,
                owner=identity.owner,
                scopes=frozenset(Scope),
                created_at=utc_now(),
            ),
        )
        if client.name in self._revoked:
            raise Unauthenticated("This identity is known and may not come in.")
        return client

    def revoke(self, name: str) -> None:
        self._revoked.add(name)
        self._world.announce(Topic.CLIENTS)
