"""An approval that ends by itself: for some hours, some calls, or until something goes wrong."""

from pydantic import Field

from mcpbox.domain.base import DomainModel


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
