"""When an approval on probation is over, and what is said of it then."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from mcpbox.domain.probation import Probation, ProbationEnd, ProbationTerms


def why_over(probation: Probation, now: datetime) -> ProbationEnd | None:
    """The worst reason first; ``None``: it goes on."""
    terms = probation.terms
    if probation.undeclared:
        return ProbationEnd.EGRESS
    if (
        terms.max_error_rate is not None
        and probation.calls >= terms.min_calls
        and probation.error_rate > terms.max_error_rate
    ):
        return ProbationEnd.ERRORS
    if terms.calls is not None and probation.calls >= terms.calls:
        return ProbationEnd.CALLS
    if probation.until is not None and now >= probation.until:
        return ProbationEnd.TIME
    return None


def strictest(terms: Iterable[ProbationTerms | None]) -> ProbationTerms | None:
    """Where several people approve, and the policy has its own say: every limit holds."""
    given = [one for one in terms if one is not None]
    if not given:
        return None
    return ProbationTerms(
        hours=min((one.hours for one in given if one.hours is not None), default=None),
        calls=min((one.calls for one in given if one.calls is not None), default=None),
        max_error_rate=min(
            (one.max_error_rate for one in given if one.max_error_rate is not None), default=None
        ),
        min_calls=min(one.min_calls for one in given),
    )


def end_of(terms: ProbationTerms, began_at: datetime) -> datetime | None:
    return None if terms.hours is None else began_at + timedelta(hours=terms.hours)


def terms_in_words(terms: ProbationTerms) -> str:
    """``for 24 hours or 100 calls, at most 20% failing``."""
    ends = [
        f"{terms.hours:g} hours" if terms.hours is not None else "",
        f"{terms.calls} calls" if terms.calls is not None else "",
    ]
    until = " or ".join(end for end in ends if end)
    parts = [f"for {until}" if until else "without an end in time"]
    if terms.max_error_rate is not None:
        parts.append(f"at most {terms.max_error_rate:.0%} failing")
    return ", ".join(parts)


def in_words(probation: Probation) -> str:
    if probation.cause is not None:
        return what_happened(probation)
    left = "" if probation.calls_left is None else f" {probation.calls_left} calls are left."
    return f"It is on probation, {terms_in_words(probation.terms)}.{left}"


def what_happened(probation: Probation) -> str:
    """For the people who decide again, and for the record; no argument and no result in it."""
    ran = (
        f"Version {probation.version_number} was on probation since "
        f"{probation.began_at:%Y-%m-%d %H:%M} UTC: {probation.calls} calls, "
        f"{probation.errors} of them failed."
    )
    return f"{_reason(probation)} {ran}"


def _reason(probation: Probation) -> str:
    match probation.cause:
        case ProbationEnd.EGRESS:
            hosts: Sequence[str] = probation.undeclared
            return f"It tried to reach {', '.join(hosts)}, which its code does not name."
        case ProbationEnd.ERRORS:
            allowed = probation.terms.max_error_rate or 0.0
            return (
                f"{probation.error_rate:.0%} of its calls failed; {allowed:.0%} were allowed "
                f"after {probation.terms.min_calls} calls."
            )
        case ProbationEnd.CALLS:
            return f"The {probation.terms.calls} calls it was approved for are used up."
        case ProbationEnd.TIME:
            return f"The {probation.terms.hours:g} hours it was approved for are over."
        case ProbationEnd.REPLACED:
            return "Another release took its place."
        case None:
            return "It goes on."
