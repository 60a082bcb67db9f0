"""The request workflow with its real activities, on a Temporal whose clock can be moved."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest_asyncio
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from activities.external_sources import SourceLooks
from activities.modules import PackageSources
from activities.worker import activities_on, build_worker
from cli.temporal import installed_binary
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.errors import NotFound, Unavailable
from mcpbox.domain.external_sources import ExternalSource, Listing
from mcpbox.domain.ids import DecisionId, Digest, ServerId, ToolId
from mcpbox.domain.people import Principal, PrincipalKind, Role, Scope
from mcpbox.domain.requests import Outcome, RequestDetail, RequestSummary, State
from mcpbox.domain.tools import ToolDetail
from mcpbox.domain.verdicts import Verdict
from mcpbox.news import RequestNews
from mcpbox.packages.facts import PyPI
from mcpbox.packages.index import PackageIndex
from mcpbox.packages.osv import OSV
from mcpbox.payloads import data_converter
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store.changes import Changes, Topic
from mcpbox.store.modules import StoredModuleSets
from mcpbox.store.tables.people import UserRow
from mcpbox.temporal import SEARCH_ATTRIBUTES, TASK_QUEUE, TemporalGate
from mcpbox.usecases.callables import Callables
from mcpbox.usecases.development import Development
from mcpbox.usecases.external_sources import Sources
from mcpbox.usecases.grants import Grants
from mcpbox.usecases.network import Network
from mcpbox.usecases.recovery import Recoveries
from mcpbox.usecases.releases import Releases
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.reviewing import Reviewing
from mcpbox.usecases.secrets import Secrets
from mcpbox.usecases.server_deletion import ServerDeletion
from mcpbox.usecases.servers import Servers
from mcpbox.usecases.tools import Tools
from mcpbox.vault import Vault
from mcpbox.vouchers import Vouchers
from tests.factories import NOW
from tests.instances import Installed
from tests.integration.conftest import Database, sandbox_of
from tests.package_index import LocalIndex, local_index
from tests.receipts import SIGNER
from tests.reviewing import eventually

AUTHOR = Principal(
    kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset({Scope.AUTHOR, Scope.CALL})
)
ANA = Principal(kind=PrincipalKind.PERSON, name="ana", roles=frozenset({Role.REVIEWER}))
ADA = Principal(kind=PrincipalKind.PERSON, name="ada", roles=frozenset({Role.ADMIN}))
VIC = Principal(kind=PrincipalKind.PERSON, name="vic", roles=frozenset({Role.VIEWER}))
KEY = SecretStr("c4" * 32)
VAULT = Vault(SecretStr("a5" * 32))
VOUCHERS = Vouchers((KEY,))
_FAST = [
    *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
    *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
    *("--dynamic-config-value", "history.timerProcessorMaxPollRPS=2000"),
    *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="1ms"'),
]


class GateTo(TemporalGate):
    """A gate whose connection exists already."""

    def __init__(self, client: Client) -> None:
        super().__init__("unused", "unused", (KEY,))
        self._client = client


class Offering:
    """What sources offer, by the name of their server; one that is not here does not answer."""

    def __init__(self) -> None:
        self.listings: dict[str, Listing] = {}

    async def list_tools(self, source: ExternalSource) -> Listing:
        if source.server_name not in self.listings:
            raise Unavailable("The source")
        return self.listings[source.server_name]


@dataclass
class Office:
    """Where requests are made and decided: the real use cases, a real worker."""

    env: WorkflowEnvironment
    database: Database
    index: LocalIndex
    sources: PackageSources
    servers: Servers
    deletion: ServerDeletion
    tools: Tools
    requests: Requests
    network: Network
    grants: Grants
    releases: Releases
    secrets: Secrets
    callables: Callables
    sandbox: SandboxClient
    reviewing: Reviewing
    development: Development
    external: Sources
    offering: Offering

    async def draft(
        self, code: str = "async def main(a: int = 1) -> int:\n    return a\n"
    ) -> ToolDetail:
        server = await self.servers.create(
            AUTHOR, name=f"s{uuid4().hex[:8]}", description="For a test."
        )
        return await self.tools.create(
            AUTHOR, ServerId(server.id), name="count", code=code, description="Counts."
        )

    async def asked(self, tool: ToolDetail | None = None, **more: Any) -> RequestSummary:
        """A request that waits for a decision."""
        tool = tool or await self.draft()
        request = await self.requests.request_publish(AUTHOR, ToolId(tool.id), **more)
        return await self.when(request, State.AWAITING_DECISION)

    async def when(self, request: RequestSummary, *states: State) -> RequestDetail:
        async def reached() -> RequestDetail | None:
            try:
                found = await self.requests.get(request.id)
            except NotFound:
                # Asked for, and not on record yet: the answer to asking waits for it only so long.
                return None
            return found if found.state in states else None

        return await eventually(reached)

    async def decide(
        self,
        request: RequestSummary,
        verdict: Verdict = Verdict.APPROVE,
        *,
        by: Principal = ANA,
        draft: DecisionDraft | None = None,
    ) -> Outcome:
        draft = draft or a_decision(request, verdict)
        return await self.requests.decide(by, Channel.API, request.id, draft)

    def workflow(self, request: RequestSummary) -> WorkflowHandle[Any, Any]:
        return self.env.client.get_workflow_handle(request.workflow_id)


def a_decision(
    request: RequestSummary,
    verdict: Verdict = Verdict.APPROVE,
    *,
    seen: Digest | None = None,
    reason: str = "Read it.",
) -> DecisionDraft:
    return DecisionDraft(
        id=DecisionId(uuid4()), verdict=verdict, reason=reason, seen_digest=seen or request.digest
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def env() -> AsyncGenerator[WorkflowEnvironment]:
    """A real server; every workflow has a clock of its own that can be moved."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(installed_binary()),
        dev_server_extra_args=_FAST,
        search_attributes=SEARCH_ATTRIBUTES,
        data_converter=data_converter(()),
    ) as started:
        yield started


@contextmanager
def hearing(database_url: str, news: RequestNews) -> Generator[None]:
    def tell(topic: Topic, key: str) -> None:
        if topic is Topic.REQUESTS:
            news.changed(key)

    listening = asyncio.create_task(Changes(database_url, tell, lambda: None).run())
    try:
        yield
    finally:
        listening.cancel()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(
    env: WorkflowEnvironment, database: Database, instance: Installed
) -> AsyncGenerator[Office]:
    sandbox = sandbox_of(instance, StoredModuleSets(database.sessions))
    gate = GateTo(env.client)
    news = RequestNews()
    requests = Requests(database.sessions, gate, ttl=timedelta(days=7), news=news)
    async with database.sessions.begin() as session:
        session.add_all(
            UserRow(
                id=uuid4(),
                username=person.name,
                password_hash="",
                roles=list(person.roles),
                active=True,
                created_at=NOW,
            )
            for person in (ADA, ANA, VIC)
        )
    with local_index() as index, hearing(database.url, news):
        sources = PackageSources(PackageIndex(index.index_url), PyPI(index.base), OSV(index.base))
        offering = Offering()
        activities = [
            *activities_on(database.sessions, sandbox, SIGNER, sources, VOUCHERS),
            SourceLooks(database.sessions, offering.list_tools),
        ]
        async with build_worker(env.client, activities, task_queue=TASK_QUEUE):
            yield Office(
                env,
                database,
                index,
                sources,
                Servers(database.sessions),
                ServerDeletion(database.sessions, requests, Recoveries(database.sessions, gate)),
                Tools(database.sessions, requests),
                requests,
                Network(database.sessions, requests),
                Grants(database.sessions),
                Releases(database.sessions, requests),
                Secrets(database.sessions, requests, VAULT),
                Callables(database.sessions, VAULT),
                sandbox,
                Reviewing(database.sessions, requests),
                Development(database.sessions, sandbox),
                Sources(database.sessions, GateTo(env.client), requests),
                offering,
            )
    await sandbox.aclose()
