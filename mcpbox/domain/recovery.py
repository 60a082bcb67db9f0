"""Bringing a server back after the sandbox lost what it was told, and how far that has come."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal
from mcpbox.domain.texts import Text

REASON_MAX_LENGTH = 500


class RecoveryState(StrEnum):
    RESTORING = "restoring"
    WAITING = "waiting"
    """It failed for as long as we are patient; an admin says how to go on."""
    RESTORED = "restored"
    STOPPED = "stopped"
    IGNORED = "ignored"


class RecoveryAction(StrEnum):
    """What an admin may answer."""

    RETRY = "retry"
    STOP = "stop"
    """The server: none of its tools is listed or called any more."""
    IGNORE = "ignore"
    """Leave it running as it is; its tools fail or heal by themselves."""


class Recovery(DomainModel):
    """The newest one of a server."""

    server_id: ServerId
    server_name: str
    state: RecoveryState
    problem: str = ""
    """What does not come back, and why; never code or output."""
    tries: int = 0
    started_at: datetime
    updated_at: datetime


class ResolveDraft(DomainModel):
    action: RecoveryAction
    reason: Text = Field(default="", max_length=REASON_MAX_LENGTH)


class ResolveCommand(ResolveDraft):
    """Payload of the update ``resolve``, made by a face that knows who is asking."""

    by: Principal


class RecoveryOutcome(DomainModel):
    state: RecoveryState
    problem: str = ""


def recovery_workflow_id(server_id: ServerId) -> str:
    """One at a time for each server."""
    return f"recovery/{server_id}"
