"""A server groups tools; stopping it stops them all at once."""

from datetime import datetime
from enum import StrEnum

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import ServerId


class DesiredState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"


class Server(DomainModel):
    id: ServerId
    name: str
    description: str
    desired_state: DesiredState
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
