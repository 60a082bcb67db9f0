"""In-memory twins of the use cases about hosts, releases and secrets, as the others have them."""

from datetime import timedelta
from uuid import uuid4

from mcpbox.domain.base import utc_now
from mcpbox.domain.digests import digest_of_access
from mcpbox.domain.evidence import Risk
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import RequestId, ServerId, ToolId
from mcpbox.domain.manifests import Needs
from mcpbox.domain.people import Principal
from mcpbox.domain.releases import ReleasedVersion
from mcpbox.domain.requests import RequestDetail, RequestSummary, State
from mcpbox.domain.secrets import Secret
from mcpbox.domain.subjects import HostSubject, Kind
from mcpbox.usecases.network import Network
from mcpbox.usecases.releases import Releases
from mcpbox.usecases.secrets import Secrets
from tests.service.gateway.world import World


class InMemoryNetwork(Network):
    def __init__(self, world: World) -> None:
        self._world = world

    async def request_access(
        self,
        by: Principal,
        server_id: ServerId,
        access: HostAccess,
        *,
        days: int | None = None,
        justification: str,
    ) -> RequestSummary:
        server = self._world.servers[server_id]
        subject = HostSubject(
            server_id=server_id, server_name=server.name, access=access, days=days
        )
        now = utc_now()
        request = RequestDetail(
            id=RequestId(uuid4()),
            workflow_id=f"host_grant/{server_id}",
            kind=Kind.HOST_GRANT,
            state=State.AWAITING_DECISION,
            state_reason="",
            server_id=server_id,
            server_name=server.name,
            title=subject.title,
            access=access,
            days=days,
            digest=digest_of_access(server_id, access, days=days),
            requester=by.label,
            notes=justification,
            quorum=1,
            risk=Risk.HIGH,
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(days=7),
            needs=Needs(),
            evidence=[],
            decisions=[],
            history=[],
        )
        self._world.put_request(request, State.AWAITING_DECISION)
        return request


class InMemoryReleases(Releases):
    """Knows what was written; nothing here is released."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def versions(self, tool_id: ToolId) -> list[ReleasedVersion]:
        tool = self._world.tools[tool_id]
        return [ReleasedVersion(version=tool.current)]


class InMemorySecrets(Secrets):
    """No server has one."""

    def __init__(self) -> None:
        return

    async def list(self, server_id: ServerId) -> list[Secret]:
        return []
