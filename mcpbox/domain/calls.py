"""What the gateway keeps in memory of every released tool, so a call needs no round trip."""

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest
from mcpbox.domain.servers import DesiredState
from mcpbox.domain.tools import ToolVersion, callable_name


class CallableTool(DomainModel):
    """A released version and every fact that :func:`mcpbox.policies.call.may_call` asks for."""

    server_name: str
    server_state: DesiredState
    enabled: bool
    version: ToolVersion
    approved_digest: Digest
    granted_hosts: frozenset[str]
    """Hosts of grants that are live, for the server of this tool."""

    @property
    def name(self) -> str:
        return callable_name(self.server_name, self.version.name)
