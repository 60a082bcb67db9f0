"""What an LLM is told of the checks: what it can mend, and nothing of other callers."""

from gateway.findings import checks_of, findings_of
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from tests.factories import DIGEST, NOW


def found(check: Check) -> Evidence:
    finding = Finding(
        level=Risk.HIGH, title="T", text="x", line=3, column=5, rule="r", why="It matters."
    )
    return Evidence(
        check=check,
        digest=DIGEST,
        status=Status.WARNING,
        summary="S.",
        findings=(finding,),
        checked_at=NOW,
    )


def test_a_finding_is_told_with_its_place_and_why_it_matters() -> None:
    [view] = findings_of([found(Check.STATIC)])

    assert (view.check, view.rule, view.line, view.column) == (Check.STATIC, "r", 3, 5)
    assert (view.message, view.why) == ("T: x", "It matters.")


def test_what_is_about_other_callers_is_told_in_its_summary_alone() -> None:
    evidence = [found(Check.BEHAVIOUR), found(Check.PROBATION)]

    assert findings_of(evidence) == []
    assert [check.summary for check in checks_of(evidence)] == ["S.", "S."]
