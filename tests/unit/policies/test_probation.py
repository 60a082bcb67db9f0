"""When an approval on probation is over."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbox.domain.ids import ReleaseId, RequestId, ToolId
from mcpbox.domain.probation import Probation, ProbationEnd, ProbationTerms
from mcpbox.policies.probation import (
    end_of,
    strictest,
    terms_in_words,
    what_happened,
    why_over,
)
from tests.factories import NOW


def a_probation(terms: ProbationTerms, **more: Any) -> Probation:
    return Probation(
        release_id=ReleaseId(uuid4()),
        tool_id=ToolId(uuid4()),
        request_id=RequestId(uuid4()),
        version_number=1,
        terms=terms,
        began_at=NOW,
        until=end_of(terms, NOW),
        **more,
    )


@pytest.mark.parametrize(
    ("terms", "seen", "hours", "cause"),
    [
        ({}, {}, 10_000, None),
        ({"hours": 2}, {}, 1.9, None),
        ({"hours": 2}, {}, 2, ProbationEnd.TIME),
        ({"calls": 3}, {"calls": 2}, 0, None),
        ({"calls": 3}, {"calls": 3}, 0, ProbationEnd.CALLS),
        ({"calls": 3}, {"calls": 5}, 0, ProbationEnd.CALLS),
        ({"max_error_rate": 0.2}, {"calls": 9, "errors": 9}, 0, None),
        ({"max_error_rate": 0.2}, {"calls": 10, "errors": 2}, 0, None),
        ({"max_error_rate": 0.2}, {"calls": 10, "errors": 3}, 0, ProbationEnd.ERRORS),
        ({"max_error_rate": 0.0}, {"calls": 10, "errors": 1}, 0, ProbationEnd.ERRORS),
        ({}, {"undeclared": ("x.example",)}, 0, ProbationEnd.EGRESS),
        ({"calls": 1}, {"calls": 1, "undeclared": ("x.example",)}, 0, ProbationEnd.EGRESS),
    ],
)  # fmt: skip
def test_whatever_is_reached_first_ends_it(
    terms: dict[str, Any], seen: dict[str, Any], hours: float, cause: ProbationEnd | None
) -> None:
    probation = a_probation(ProbationTerms(**terms), **seen)

    assert why_over(probation, NOW + timedelta(hours=hours)) is cause


@pytest.mark.parametrize("cause", ProbationEnd)
def test_what_happened_is_said_in_words(cause: ProbationEnd) -> None:
    terms = ProbationTerms(hours=2, calls=9, max_error_rate=0.1)
    probation = a_probation(terms, calls=9, errors=3, undeclared=("x.example",), cause=cause)

    said = what_happened(probation)

    assert "9 calls, 3 of them failed" in said
    assert cause is not ProbationEnd.EGRESS or "x.example" in said


def test_terms_are_said_in_words() -> None:
    terms = ProbationTerms(hours=24, calls=100, max_error_rate=0.2)

    assert terms_in_words(terms) == "for 24 hours or 100 calls, at most 20% failing"
    assert terms_in_words(ProbationTerms()) == "without an end in time"


some_terms = st.builds(
    ProbationTerms,
    hours=st.none() | st.floats(0.5, 100),
    calls=st.none() | st.integers(1, 100),
    max_error_rate=st.none() | st.floats(0, 0.9),
    min_calls=st.integers(1, 50),
)


@given(st.lists(some_terms, min_size=1, max_size=4), st.integers(0, 100), st.data())
def test_of_several_terms_every_limit_holds(
    several: list[ProbationTerms], calls: int, data: st.DataObject
) -> None:
    errors = data.draw(st.integers(0, calls))
    now = NOW + timedelta(hours=data.draw(st.floats(0, 100)))
    joined = strictest(several)
    assert joined is not None

    ends = [why_over(a_probation(one, calls=calls, errors=errors), now) for one in several]

    if any(ends):
        assert why_over(a_probation(joined, calls=calls, errors=errors), now)


def test_an_approval_without_terms_is_for_good() -> None:
    assert strictest([None, None]) is None
