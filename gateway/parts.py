"""All that the gateway reaches outside its process, and how the real ones are made."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from gateway.admission import Admission, ClientTokens
from gateway.catalog import Load
from gateway.clients import Authenticate, KnownClients, RecordSeen
from gateway.definition import UseCases
from gateway.execution_log import Write
from gateway.oidc import oidc_admission
from gateway.passing import CALL_TIMEOUT_S, Renew
from gateway.security import LoadSettings
from gateway.sources import SourceChecks
from gateway.tunnel import tunnel_admission
from gateway.turns import Turns
from mcpbox.breaker import Breaker
from mcpbox.domain.base import utc_now
from mcpbox.domain.executions import Execution
from mcpbox.domain.identities import Identity, WayIn
from mcpbox.domain.ids import ClientId
from mcpbox.domain.people import Client
from mcpbox.domain.review_policy import SecuritySettings
from mcpbox.news import RequestNews
from mcpbox.sandbox_client import SandboxClient
from mcpbox.settings import Settings
from mcpbox.store.changes import Changes, Topic
from mcpbox.store.clients import mark_seen
from mcpbox.store.executions import add_executions
from mcpbox.store.modules import StoredModuleSets
from mcpbox.store.probations import count_executions
from mcpbox.store.review_policies import security_settings
from mcpbox.store.session import Sessions, make_sessions, reading, transaction
from mcpbox.temporal import TemporalGate
from mcpbox.usecases.callables import Callables
from mcpbox.usecases.clients import Clients
from mcpbox.usecases.development import Development
from mcpbox.usecases.executions import Executions
from mcpbox.usecases.external_sources import Sources
from mcpbox.usecases.guests import Guests
from mcpbox.usecases.network import Network
from mcpbox.usecases.recovery import Recoveries
from mcpbox.usecases.releases import Releases
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.secrets import Secrets
from mcpbox.usecases.server_deletion import ServerDeletion
from mcpbox.usecases.servers import Servers
from mcpbox.usecases.source_tokens import SourceTokens
from mcpbox.usecases.tools import Tools
from mcpbox.vault import Vault

Listen = Callable[[Callable[[Topic, str], None], Callable[[], None]], Changes]


@dataclass(frozen=True, slots=True)
class Parts:
    """All that the gateway reaches; ``listen`` makes the ears it hears of changes with."""

    use_cases: UseCases
    sandbox: SandboxClient
    breaker: Breaker
    """Before the sandbox."""
    authenticate: Authenticate
    record_seen: RecordSeen
    load_callables: Load
    write_executions: Write
    load_settings: LoadSettings
    listen: Listen
    turns: Turns
    check_source: SourceChecks
    renew_source: Renew
    source_timeout_s: float = CALL_TIMEOUT_S
    """Of each call that is passed on to an external source."""
    admission: Callable[[KnownClients], Admission] = ClientTokens
    """Who is let in, and how."""
    public_hosts: tuple[str, ...] = ()
    panel_url: str = ""
    """What links to the panel begin with."""
    metrics_token: SecretStr | None = None
    news: RequestNews = field(default_factory=RequestNews)
    """Of requests, as :attr:`listen` hears them."""


def parts_of(settings: Settings) -> Parts:
    """The real ones; nothing connects before it is needed. Raises: Invalid: one is not set."""
    database_url = settings.required_database_url
    sessions = make_sessions(database_url)
    breaker = Breaker("The sandbox")
    sandbox = SandboxClient.of(settings, StoredModuleSets(sessions), breaker)
    gate = TemporalGate(
        settings.temporal_target, settings.temporal_namespace, settings.temporal_keys
    )
    news = RequestNews()
    requests = Requests(sessions, gate, ttl=settings.request_ttl, news=news)
    vault = Vault(settings.required_secrets_key)
    sources = Sources(sessions, gate, requests)
    authenticate, admission = _way_in(settings, sessions)
    return Parts(
        use_cases=UseCases(
            servers=Servers(sessions),
            deletion=ServerDeletion(sessions, requests, Recoveries(sessions, gate)),
            tools=Tools(sessions, requests),
            development=Development(sessions, sandbox),
            executions=Executions(sessions),
            requests=requests,
            network=Network(sessions, requests),
            releases=Releases(sessions, requests),
            secrets=Secrets(sessions, requests),
            sources=sources,
        ),
        sandbox=sandbox,
        breaker=breaker,
        authenticate=authenticate,
        admission=admission,
        record_seen=_recording_seen(sessions),
        load_callables=Callables(sessions, vault).load,
        news=news,
        write_executions=_writing(sessions),
        load_settings=_loading_settings(sessions),
        listen=lambda on_change, on_connected: Changes(database_url, on_change, on_connected),
        turns=Turns(max_running=settings.max_calls, max_waiting=settings.max_waiting_calls),
        public_hosts=settings.public_hosts,
        panel_url=settings.panel_link.rstrip("/"),
        check_source=sources.check_soon,
        renew_source=SourceTokens(sessions, vault).renewed,
        source_timeout_s=settings.source_call_s,
        metrics_token=settings.metrics_token,
    )


def _way_in(
    settings: Settings, sessions: Sessions
) -> tuple[Authenticate, Callable[[KnownClients], Admission]]:
    """One for each deployment: what opens one way opens no other."""
    if settings.way_in is WayIn.PROVIDER:
        return _admitting(sessions), oidc_admission(settings)
    if settings.way_in is WayIn.TUNNEL:
        return _admitting(sessions), tunnel_admission(settings)
    return Clients(sessions).authenticate, ClientTokens


def _admitting(sessions: Sessions) -> Authenticate:
    guests = Guests(sessions)

    async def admit(identity: str) -> Client:
        return await guests.admit(Identity.model_validate_json(identity))

    return admit


def _loading_settings(sessions: Sessions) -> LoadSettings:
    async def load() -> SecuritySettings:
        async with reading(sessions) as session:
            return await security_settings(session)

    return load


def _writing(sessions: Sessions) -> Write:
    async def write(executions: Sequence[Execution]) -> None:
        async with transaction(sessions) as session:
            await add_executions(session, executions)
            await count_executions(session, executions)

    return write


def _recording_seen(sessions: Sessions) -> RecordSeen:
    async def record(client_ids: Collection[ClientId]) -> None:
        async with transaction(sessions) as session:
            await mark_seen(session, client_ids, utc_now())

    return record
