"""What the gateway keeps in memory of every released tool, so a call needs no round trip."""

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest, ReleaseId, RequestId, ServerId, SourceId
from mcpbox.domain.manifests import Granted
from mcpbox.domain.secrets import HeldSecret
from mcpbox.domain.servers import DesiredState, IsolationMode
from mcpbox.domain.tools import ToolVersion, callable_name


class ReleaseOrigin(DomainModel):
    """Where a release comes from, for whoever follows a call back to its approval."""

    release_id: ReleaseId
    request_id: RequestId
    workflow_id: str
    """In Temporal."""


class SourceAccess(DomainModel):
    """How the source of a tool is reached, besides what its version says."""

    source_id: SourceId
    allow_private: bool
    """As an admin consented."""


class CallableTool(DomainModel):
    """A released version and every fact that :func:`mcpbox.policies.call.may_call` asks for."""

    server_id: ServerId
    server_name: str
    server_state: DesiredState
    server_quarantined: bool = False
    enabled: bool
    quarantined: bool = False
    version: ToolVersion
    approved_digest: Digest
    origin: ReleaseOrigin | None = None
    receipt: str | None
    """As the sandbox wants it; ``None`` for a release that was made before there were any."""
    granted: Granted
    """To the server of this tool."""
    secrets: dict[str, HeldSecret] = Field(default_factory=dict)
    """By name: those that the code names, and that have a value."""
    isolation: IsolationMode = IsolationMode.CALL
    source: SourceAccess | None = None
    """Of a tool that passes its calls on."""

    @property
    def name(self) -> str:
        return callable_name(self.server_name, self.version.name)
