"""Another policy, tried on everything that was ever decided."""

from datetime import datetime
from enum import StrEnum

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import RequestId
from mcpbox.domain.review_policy import ReviewFacts, ReviewPolicy, Rule
from mcpbox.domain.subjects import Kind
from mcpbox.domain.verdicts import Verdict


class Proposal(DomainModel):
    policy: ReviewPolicy | None = None
    """``None``: the one in force."""
    auto_deny: tuple[Rule, ...] = ()
    """Asked before the policy's own, as are the next."""
    auto_approve: tuple[Rule, ...] = ()


class Effect(StrEnum):
    """In the order to show: what would have been let through first."""

    APPROVED_INSTEAD = "approved_instead"
    """It was denied, and a rule would have approved it."""
    DENIED_INSTEAD = "denied_instead"
    """It was approved, and a rule would have denied it."""
    MORE_APPROVALS = "more_approvals"
    """It was approved by fewer people than would have been needed."""
    LEFT_TO_PEOPLE = "left_to_people"
    """A rule decided it, and none would have."""
    AUTOMATED = "automated"
    """A rule would have decided what people did, in the same way."""

    @property
    def flips(self) -> bool:
        return self is not Effect.AUTOMATED


class PastDecision(DomainModel):
    """How a request ended, and by what it was judged."""

    request_id: RequestId
    facts: ReviewFacts
    verdict: Verdict
    decided_by: tuple[str, ...]
    """Names of those whose newest vote led there, and ``policy:<rule>``."""
    by_rule: bool
    decided_at: datetime


class WouldBe(DomainModel):
    request_id: RequestId
    title: str
    kind: Kind
    verdict: Verdict
    """What was decided."""
    decided_by: tuple[str, ...]
    decided_at: datetime
    effect: Effect
    rule: str = ""
    """Which would have decided."""
    note: str = ""


class DryRun(DomainModel):
    judged: int
    """Past decisions that were looked at."""
    unjudged: int
    """Those from before the facts of a request were kept."""
    counts: dict[Effect, int]
    changes: tuple[WouldBe, ...]
    """At most 200, flips first, the newest of each first."""
