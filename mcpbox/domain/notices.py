"""What people are told of: in the panel, by webhook, by mail. Never code, never reasons."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import Field, SecretStr, StringConstraints

from mcpbox.domain.base import DomainModel
from mcpbox.domain.people import Role
from mcpbox.domain.texts import Text


class Event(StrEnum):
    """Append-only: targets name them."""

    REQUEST_WAITING = "request.waiting"
    REQUEST_REMINDED = "request.reminded"
    REQUEST_ESCALATED = "request.escalated"
    REQUEST_DECIDED = "request.decided"
    REQUEST_APPLIED = "request.applied"
    REQUEST_FAILED = "request.failed"
    PROBATION_ENDED = "probation.ended"
    RECOVERY_WAITING = "recovery.waiting"
    BREAK_GLASS = "break_glass.used"
    TEST = "test"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Event.REQUEST_WAITING: "waits for a decision",
    Event.REQUEST_REMINDED: "still waits for a decision",
    Event.REQUEST_ESCALATED: "was escalated to you",
    Event.REQUEST_DECIDED: "was decided",
    Event.REQUEST_APPLIED: "was approved and took effect",
    Event.REQUEST_FAILED: "was approved and could not take effect",
    Event.PROBATION_ENDED: "has come to the end of its probation",
    Event.RECOVERY_WAITING: "did not come back after a restart of the sandbox",
    Event.BREAK_GLASS: "was forced through by an admin",
    Event.TEST: "is a test: nothing happened",
}


class Notice(DomainModel):
    """The same ``key`` is told once."""

    key: str
    """Of what happened, such as ``request:<id>:waiting:1``."""
    event: Event
    about: str
    """Names alone: ``publish weather__forecast v2``."""
    path: str
    """Of the panel, where the rest is."""
    people: tuple[str, ...] = ()
    """User names; with the others, everybody of any."""
    clients: tuple[str, ...] = ()
    """Names of MCP clients: their owners."""
    roles: tuple[Role, ...] = ()

    @property
    def id(self) -> UUID:
        return uuid5(NAMESPACE_URL, f"mcpbox:notice:{self.key}")

    @property
    def sentence(self) -> str:
        return f"{self.about} {self.event.words}."


class ReceivedNotice(DomainModel):
    """As one person finds it in the panel."""

    id: UUID
    event: Event
    about: str
    sentence: str
    path: str
    created_at: datetime
    read_at: datetime | None


class Unread(DomainModel):
    count: int


class TargetKind(StrEnum):
    WEBHOOK = "webhook"
    SLACK = "slack"
    DISCORD = "discord"
    EMAIL = "email"


class TargetDraft(DomainModel):
    name: Annotated[Text, StringConstraints(min_length=1, max_length=80)]
    kind: TargetKind
    address: SecretStr = Field(max_length=2000)
    """An address that begins with https://, or mail addresses separated by commas; kept sealed."""
    events: tuple[Event, ...] = ()
    """Empty: all."""
    private: bool = False
    """It may be on a private network, and without TLS."""


class Target(DomainModel):
    id: UUID
    name: str
    kind: TargetKind
    shown: str
    """Where it goes, as far as that is no secret: a host, or mail addresses."""
    events: tuple[Event, ...]
    private: bool
    created_by: str
    created_at: datetime
    delivered_at: datetime | None = None
    problem: str = ""
    """Of the newest delivery; empty: it arrived, or there was none."""


class NewTarget(Target):
    signing_secret: str | None
    """Of webhooks, shown this once: with it the receiver checks that a delivery is ours."""
