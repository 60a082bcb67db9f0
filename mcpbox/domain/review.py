"""What a request needs before it is approved, and how long it may wait: frozen when it opens."""

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, PlainSerializer

from mcpbox.domain.base import DomainModel
from mcpbox.domain.people import Role
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.verdicts import Verdict


class Separation(StrEnum):
    """Whom a request may not be decided by."""

    OFF = "off"
    """Anybody with the role, what their own client asked for included (ADR 0013)."""
    AUTHOR = "author"
    """Not by whoever made the request or wrote the version."""
    OWNER = "owner"
    """Besides, not by the person whose client asked."""


def _in_order(words: Collection[str]) -> list[str]:
    return sorted(words)


_Sorted = PlainSerializer(_in_order)
"""Equal sets are written as equal text, so that two documents can be compared."""
Roles = Annotated[frozenset[Role], _Sorted]
Verdicts = Annotated[frozenset[Verdict], _Sorted]


class Requirements(DomainModel):
    """Compatibility rule: frozen into histories, so fields are only added, with a default."""

    approvals: int = Field(default=1, ge=1)
    """How many people have to approve, each counted once."""
    roles: Roles = frozenset({Role.REVIEWER, Role.ADMIN})
    """Who may decide: people with any of these."""
    reasons: Verdicts = frozenset({Verdict.DENY, Verdict.REQUEST_CHANGES})
    """Verdicts that need a reason."""
    separation: Separation = Separation.OFF
    ttl: timedelta = timedelta(days=7)
    """Undecided for so long, counted from its opening, it expires."""
    execution_window: timedelta = timedelta(days=1)
    """Approved but not applied for so long, the approval lapses."""
    reminders: tuple[timedelta, ...] = ()
    """When the deciders are reminded, counted from its opening; ascending."""
    escalate_after: timedelta | None = None
    """When ``escalate_to`` is told, counted from its opening."""
    escalate_to: tuple[str, ...] = ()
    """User names, who may then decide as well, whatever their role."""
    probation: ProbationTerms | None = None
    """Of what an approval releases; an approver may be stricter and never looser."""


class ReviewTerms(Requirements):
    """The review requirements of one request."""

    policy_version: int = 0
    """The review policy it comes from; 0 is the built-in one."""
