"""The use cases that commands work with, straight on the instance's database and Temporal."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cli.database import check_database
from cli.instance import Instance
from mcpbox.anchors import AnchorExport, AnchorSigner
from mcpbox.domain.errors import NotFound
from mcpbox.domain.people import Principal
from mcpbox.sending import Sender
from mcpbox.settings import Settings
from mcpbox.store import people
from mcpbox.store.session import Sessions, make_sessions, reading
from mcpbox.temporal import TemporalGate, settle
from mcpbox.usecases.audit import Audit
from mcpbox.usecases.clients import Clients
from mcpbox.usecases.external_sources import Sources
from mcpbox.usecases.grants import Grants
from mcpbox.usecases.network import Network
from mcpbox.usecases.notices import Notices, TargetSeals
from mcpbox.usecases.people import People
from mcpbox.usecases.recovery import Recoveries
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.review_policy import ReviewPolicies
from mcpbox.usecases.reviewing import Reviewing
from mcpbox.usecases.secrets import Secrets
from mcpbox.usecases.server_deletion import ServerDeletion
from mcpbox.usecases.servers import Servers
from mcpbox.usecases.source_needs import SourceNeeds
from mcpbox.usecases.tool_switches import ToolSwitches
from mcpbox.usecases.tools import Tools
from mcpbox.usecases.users import Users
from mcpbox.vault import Vault


@dataclass(frozen=True)
class Office:
    """Whoever may read the data directory may act as any person in it."""

    sessions: Sessions
    requests: Requests
    reviewing: Reviewing
    clients: Clients
    servers: Servers
    deletion: ServerDeletion
    grants: Grants
    tools: Tools
    switches: ToolSwitches
    audit: Audit
    anchor_export: AnchorExport
    review_policies: ReviewPolicies
    people: People
    users: Users
    recoveries: Recoveries
    notices: Notices
    secrets: Secrets
    sources: Sources
    source_needs: SourceNeeds

    async def person(self, username: str) -> Principal:
        """Raises: NotFound."""
        async with reading(self.sessions) as session:
            found = await people.find_reviewer(session, username)
        if found is None:
            raise NotFound("active user", username)
        return found


@asynccontextmanager
async def open_office(settings: Settings) -> AsyncGenerator[Office]:
    """Raises: NotFound: no instance here; Unavailable: its database does not answer."""
    instance = Instance(settings)
    database_url = instance.database_url().get_secret_value()
    await check_database(database_url)
    sessions = make_sessions(database_url, connections=4)
    gate = TemporalGate(
        settings.temporal_target, settings.temporal_namespace, instance.temporal_keys()
    )
    requests = Requests(sessions, gate, ttl=settings.request_ttl)
    recoveries = Recoveries(sessions, gate)
    secrets = Secrets(sessions, requests, Vault(instance.secrets_key()))
    try:
        yield Office(
            sessions,
            requests,
            Reviewing(sessions, requests),
            Clients(sessions),
            Servers(sessions),
            ServerDeletion(sessions, requests, recoveries),
            Grants(sessions),
            Tools(sessions, requests),
            ToolSwitches(sessions),
            Audit(sessions, AnchorSigner(instance.encryption_key())),
            AnchorExport.of(settings),
            ReviewPolicies(sessions),
            People(sessions),
            Users(sessions),
            recoveries,
            Notices(sessions, TargetSeals(instance.encryption_key()), Sender.of(settings)),
            secrets,
            Sources(sessions, gate, requests),
            SourceNeeds(sessions, requests, Network(sessions, requests), secrets),
        )
    finally:
        await sessions.kw["bind"].dispose()
        await settle()
