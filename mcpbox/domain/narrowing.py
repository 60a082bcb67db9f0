"""Power that was taken away at once: from what, by whom and why, and what gives it back."""

from datetime import datetime
from enum import StrEnum

from mcpbox.domain.base import DomainModel
from mcpbox.domain.people import PrincipalKind


class Switch(StrEnum):
    """What is thrown by hand, without approval; the widening half only undoes the other."""

    STOP = "stop"
    START = "start"
    DISABLE = "disable"
    ENABLE = "enable"
    REVOKE = "revoke"
    """No switch undoes it: what was revoked is asked for again, and people decide."""
    QUARANTINE = "quarantine"
    LIFT = "lift"
    DELETE = "delete"
    """Nothing undoes it."""

    @property
    def widens(self) -> bool:
        return self in (Switch.START, Switch.ENABLE, Switch.LIFT)


class Narrowing(DomainModel):
    by: str
    """Label of the principal: ``person:ana``, ``client:laptop``."""
    at: datetime
    reason: str = ""

    @property
    def by_client(self) -> bool:
        return self.by.startswith(f"{PrincipalKind.CLIENT}:")

    @property
    def told(self) -> str:
        """For a sentence: ``by person:ana: it leaks``."""
        return f"by {self.by}: {self.reason}" if self.reason else f"by {self.by}"


class Standing(DomainModel):
    """What has been taken from a server or a tool and was not given back."""

    noun: str
    """``server 'books'``; for sentences."""
    off: Narrowing | None = None
    """A server is stopped, a tool disabled."""
    quarantine: Narrowing | None = None
