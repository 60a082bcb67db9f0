"""The use cases that commands work with, straight on the instance's database and Temporal."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cli.database import check_database
from cli.instance import Instance
from mcpbox.domain.errors import NotFound
from mcpbox.domain.people import Principal
from mcpbox.settings import Settings
from mcpbox.store import people
from mcpbox.store.session import Sessions, make_sessions, transaction
from mcpbox.temporal import TemporalGate, settle
from mcpbox.usecases.clients import Clients
from mcpbox.usecases.grants import Grants
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.servers import Servers


@dataclass(frozen=True)
class Office:
    """Whoever may read the data directory may act as any person in it."""

    sessions: Sessions
    requests: Requests
    clients: Clients
    servers: Servers
    grants: Grants

    async def person(self, username: str) -> Principal:
        """Raises: NotFound."""
        async with transaction(self.sessions) as session:
            found = await people.find_reviewer(session, username)
        if found is None:
            raise NotFound("active user", username)
        return found


@asynccontextmanager
async def open_office(settings: Settings) -> AsyncGenerator[Office]:
    """Raises: NotFound: no instance here; Unavailable: its database does not answer."""
    database_url = Instance(settings).database_url().get_secret_value()
    await check_database(database_url)
    sessions = make_sessions(database_url, pool_size=2)
    gate = TemporalGate(settings.temporal_target, settings.temporal_namespace)
    try:
        yield Office(
            sessions,
            Requests(sessions, gate, ttl=settings.request_ttl),
            Clients(sessions),
            Servers(sessions),
            Grants(sessions),
        )
    finally:
        await sessions.kw["bind"].dispose()
        await settle()
