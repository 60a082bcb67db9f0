"""What people have to grant before an external source is reached, and asking for all of it."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.errors import NotFound
from mcpbox.domain.external_sources import ExternalSource, NeedState, SourceNeed
from mcpbox.domain.grants import GrantKind
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import RequestId, SourceId
from mcpbox.domain.modules import Requirement
from mcpbox.domain.people import Principal
from mcpbox.domain.subjects import HostSubject, ModuleSubject, SecretSubject, Subject
from mcpbox.domain.upstreams import Endpoint, HttpEndpoint
from mcpbox.policies.external_sources import may_keep_sources
from mcpbox.store import asked_before, external_sources, secrets
from mcpbox.store.grants import granted
from mcpbox.store.session import Sessions, reading
from mcpbox.usecases.network import Network
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.secrets import Secrets


class SourceNeeds:
    def __init__(
        self, sessions: Sessions, requests: Requests, network: Network, of_secrets: Secrets
    ) -> None:
        self._sessions = sessions
        self._requests = requests
        self._network = network
        self._secrets = of_secrets

    async def of(self, source_id: SourceId) -> list[SourceNeed]:
        """Raises: NotFound."""
        _, needs = await self._look(source_id)
        return needs

    async def ask(
        self,
        by: Principal,
        source_id: SourceId,
        *,
        notes: str,
        sign_in_hosts: Sequence[str] = (),
    ) -> list[SourceNeed]:
        """A request for each that is missing; a secret gets its place first.

        ``sign_in_hosts``: where people sign in for the source, if not at its own host: its secret
        is bound to them too.
        Raises: NotFound; Refused; Conflict: people said no before; Invalid: no notes; Unavailable.
        """
        may_keep_sources(by).require()
        source, needs = await self._look(source_id)
        for need in needs:
            if need.state is NeedState.MISSING:
                await self._ask(by, source, need, notes, sign_in_hosts)
        return await self.of(source_id)

    async def _ask(
        self,
        by: Principal,
        source: ExternalSource,
        need: SourceNeed,
        notes: str,
        sign_in_hosts: Sequence[str],
    ) -> None:
        server_id = source.server_id
        match need.kind:
            case GrantKind.HOST:
                access = HostAccess.parse(need.value)
                await self._network.request_access(by, server_id, access, justification=notes)
            case GrantKind.MODULE:
                requirement = Requirement(module=need.value, package=need.value)
                await self._requests.request_module(by, server_id, requirement, notes=notes)
            case GrantKind.SECRET:
                known = {secret.name for secret in await self._secrets.list(server_id)}
                if need.value not in known:
                    hosts = [*source.endpoint.manifest.hosts, *sign_in_hosts]
                    await self._secrets.create(by, server_id, need.value, hosts)
                await self._secrets.request(by, server_id, need.value, justification=notes)

    async def _look(self, source_id: SourceId) -> tuple[ExternalSource, list[SourceNeed]]:
        async with reading(self._sessions) as session:
            source = await external_sources.get_source(session, source_id)
            return source, await _needs(session, source)


async def _needs(session: AsyncSession, source: ExternalSource) -> list[SourceNeed]:
    held = await granted(session, source.server_id)
    waiting = await asked_before.open_grant_requests(session, source.server_id)
    found: list[SourceNeed] = []
    for kind, value in _wanted(source.endpoint):
        match kind:
            case GrantKind.HOST:
                met = HostAccess.parse(value).allowed_by(held.hosts)
            case GrantKind.MODULE:
                met = value in held.modules
            case GrantKind.SECRET:
                met = value in held.secrets
        request_id = None if met else _asks_for(waiting, kind, value)
        state = NeedState.MET if met else NeedState.ASKED if request_id else NeedState.MISSING
        if met and kind is GrantKind.SECRET and not await _is_set(session, source, value):
            state = NeedState.UNSET
        found.append(SourceNeed(kind=kind, value=value, state=state, request_id=request_id))
    return found


def _wanted(endpoint: Endpoint) -> list[tuple[GrantKind, str]]:
    if not isinstance(endpoint, HttpEndpoint):
        return [(GrantKind.MODULE, module) for module in endpoint.manifest.modules]
    host = (GrantKind.HOST, str(endpoint.access))
    return [host, *((GrantKind.SECRET, name) for name in endpoint.manifest.secret_names)]


def _asks_for(
    waiting: list[tuple[RequestId, Subject]], kind: GrantKind, value: str
) -> RequestId | None:
    for request_id, subject in waiting:
        match subject:
            case HostSubject(access=access) if kind is GrantKind.HOST:
                found = HostAccess.parse(value).within(access)
            case ModuleSubject() if kind is GrantKind.MODULE:
                found = subject.thing == value
            case SecretSubject() if kind is GrantKind.SECRET:
                found = subject.thing == value
            case _:
                found = False
        if found:
            return request_id
    return None


async def _is_set(session: AsyncSession, source: ExternalSource, name: str) -> bool:
    try:
        return (await secrets.get_secret(session, source.server_id, name)).is_set
    except NotFound:
        return False
