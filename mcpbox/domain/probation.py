"""An approval that ends by itself: for some hours, some calls, or until something goes wrong."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import ReleaseId, RequestId, ToolId


class ProbationTerms(DomainModel):
    """Chosen with an approval, or by the policy. Whatever is reached first ends it.

    Without hours and calls it has no end of its own, and the other limits still hold. The first
    attempt to reach a host that the code does not name always ends it.
    Compatibility rule: frozen into histories, so fields are only added, with a default.
    """

    hours: float | None = Field(default=None, gt=0, le=24 * 366)
    calls: int | None = Field(default=None, ge=1, le=10_000_000)
    max_error_rate: float | None = Field(default=None, ge=0, lt=1)
    """Of the calls so far, once there were at least ``min_calls``; 0.2 is every fifth."""
    min_calls: int = Field(default=10, ge=1, le=10_000)


class ProbationEnd(StrEnum):
    TIME = "time"
    CALLS = "calls"
    ERRORS = "errors"
    EGRESS = "egress"
    REPLACED = "replaced"
    """The release ended for another reason; nothing is asked anew."""


class Probation(DomainModel):
    """Of one release."""

    release_id: ReleaseId
    tool_id: ToolId
    request_id: RequestId
    """The one whose approval it is."""
    version_number: int
    terms: ProbationTerms
    began_at: datetime
    until: datetime | None
    calls: int = 0
    """Calls that ran so far, written a moment after they did."""
    errors: int = 0
    undeclared: tuple[str, ...] = ()
    """Hosts that were tried though the code does not name them."""
    ended_at: datetime | None = None
    cause: ProbationEnd | None = None

    @property
    def calls_left(self) -> int | None:
        return None if self.terms.calls is None else max(0, self.terms.calls - self.calls)

    @property
    def error_rate(self) -> float:
        return self.errors / self.calls if self.calls else 0.0
