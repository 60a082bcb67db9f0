"""The score is explained, follows from the findings alone, and only ever rises with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.policies.risk import level_of, score_of
from tests.factories import DIGEST, NOW


def some(
    *levels: Risk, status: Status = Status.WARNING, check: Check = Check.STATIC, rule: str = ""
) -> Evidence:
    findings = tuple(
        Finding(level=level, title=f"T{n}", text="x", rule=rule) for n, level in enumerate(levels)
    )
    return Evidence(
        check=check, digest=DIGEST, status=status, summary="S.", findings=findings, checked_at=NOW
    )


@pytest.mark.parametrize(
    ("evidence", "points", "level"),
    [
        ([], 40, Risk.HIGH),
        ([some(status=Status.PASSED)], 0, Risk.LOW),
        ([some(status=Status.SKIPPED)], 0, Risk.LOW),
        ([some(status=Status.MISSING)], 40, Risk.HIGH),
        ([some(status=Status.FAILED)], 40, Risk.HIGH),
        ([some(status=Status.WARNING)], 12, Risk.MEDIUM),
        ([some(Risk.LOW, status=Status.PASSED)], 1, Risk.LOW),
        ([some(Risk.MEDIUM)], 12, Risk.MEDIUM),
        ([some(Risk.HIGH)], 40, Risk.HIGH),
        ([some(Risk.CRITICAL)], 70, Risk.HIGH),
        ([some(Risk.MEDIUM), some(Risk.MEDIUM, check=Check.CLAIMS)], 24, Risk.MEDIUM),
        ([some(Risk.MEDIUM, Risk.MEDIUM, rule="r")], 14, Risk.MEDIUM),
        ([some(*[Risk.MEDIUM] * 50, rule="r")], 18, Risk.MEDIUM),
        ([some(*[Risk.CRITICAL] * 3)], 100, Risk.HIGH),
    ],
)
def test_points_and_level(evidence: list[Evidence], points: int, level: Risk) -> None:
    score = score_of(evidence)

    assert (score.points, score.level) == (points, level)


def test_every_point_is_explained_with_its_evidence() -> None:
    score = score_of([some(Risk.LOW, Risk.HIGH), some(status=Status.MISSING, check=Check.TRIAL)])

    assert [(part.points, part.reason, part.check) for part in score.contributions] == [
        (40, "T1", Check.STATIC),
        (40, "S.", Check.TRIAL),
        (1, "T0", Check.STATIC),
    ]
    assert score.points == sum(part.points for part in score.contributions)


pieces = st.builds(
    some,
    check=st.sampled_from(Check),
    status=st.sampled_from(Status),
    rule=st.sampled_from(["", "a", "b"]),
)
findings = st.builds(
    Finding,
    level=st.sampled_from(Risk),
    title=st.sampled_from("TU"),
    text=st.just("x"),
    rule=st.sampled_from(["", "a", "b"]),
)


def with_findings(piece: Evidence, found: list[Finding]) -> Evidence:
    return piece.model_copy(update={"findings": tuple(found)})


many = st.lists(
    st.builds(with_findings, pieces, st.lists(findings, max_size=6)), min_size=1, max_size=6
)


@given(many, st.data())
def test_another_finding_never_lowers_it(evidence: list[Evidence], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(evidence) - 1))
    more = (*evidence[at].findings, data.draw(findings))
    worse = [*evidence]
    worse[at] = evidence[at].model_copy(update={"findings": more})

    before, after = score_of(evidence), score_of(worse)

    assert after.points >= before.points
    assert list(Risk).index(after.level) >= list(Risk).index(before.level)


@given(many, pieces)
def test_another_check_never_lowers_it(evidence: list[Evidence], piece: Evidence) -> None:
    assert score_of([*evidence, piece]).points >= score_of(evidence).points


@given(st.integers(0, 100))
def test_the_level_is_never_critical_and_follows_the_points(points: int) -> None:
    assert list(Risk).index(level_of(points)) <= list(Risk).index(level_of(min(100, points + 1)))
    assert level_of(points) is not Risk.CRITICAL
