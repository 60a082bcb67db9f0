"""A server groups tools; stopping it stops them all at once."""

from datetime import datetime
from enum import StrEnum

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import ServerId
from mcpbox.domain.modules import GrantedModule, WheelLock
from mcpbox.domain.narrowing import Narrowing


class ServerKind(StrEnum):
    AUTHORED = "authored"
    """Its tools are written here."""
    EXTERNAL = "external"
    """Its tools are those of one other MCP server, which their calls are passed on to."""


class DesiredState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"


class IsolationMode(StrEnum):
    """How many calls one process of the sandbox serves."""

    CALL = "call"
    """One: nothing of a call is visible to the next."""
    RELEASE = "release"
    """Many of one released version: faster, and a call may see what earlier ones left behind."""


class Server(DomainModel):
    id: ServerId
    name: str
    description: str
    kind: ServerKind = ServerKind.AUTHORED
    desired_state: DesiredState
    isolation: IsolationMode = IsolationMode.CALL
    stopped: Narrowing | None = None
    quarantine: Narrowing | None = None
    """While it stands, nothing of the server is started, enabled or tried."""
    created_by: str
    created_at: datetime
    updated_at: datetime


class ServerSummary(Server):
    tool_count: int = 0
    released_count: int = 0
    """Tools of it that clients can call while it runs."""
    open_request_count: int = 0
    hosts: tuple[str, ...] = ()
    """Granted and live, sorted."""
    modules: tuple[str, ...] = ()
    """Import names granted beyond the defaults, live, sorted."""

    @property
    def held_back(self) -> str:
        """What people did to it that no client undoes; empty when nothing."""
        if self.quarantine is not None:
            return f"It is quarantined {self.quarantine.told}. Only an admin lifts that."
        if self.stopped is not None and not self.stopped.by_client:
            return f"It was stopped {self.stopped.told}. Only people start it again."
        return ""


class ServerModules(DomainModel):
    server: ServerSummary
    granted: tuple[GrantedModule, ...]
    """Beyond the modules that every tool may import, sorted."""
    lock: WheelLock | None
    """The packages behind them; ``None`` where nothing is granted."""
