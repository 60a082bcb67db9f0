"""What checks found, as an LLM is told it: where, what, and why it matters."""

from collections.abc import Iterable

from pydantic import BaseModel, Field

from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status

_OF_OTHER_CALLERS = frozenset({Check.BEHAVIOUR, Check.PROBATION})
"""Their findings hold arguments and answers of other callers; the summary is told alone."""


class FindingView(BaseModel):
    check: Check
    rule: str = Field(description="The same for all findings of one rule; may be empty.")
    level: Risk
    line: int | None = Field(description="From 1; null where it is about no line.")
    column: int | None
    message: str
    why: str = Field(description="Why it matters, and what to do instead.")

    @classmethod
    def of(cls, check: Check, finding: Finding) -> "FindingView":
        return cls(
            check=check,
            rule=finding.rule,
            level=finding.level,
            line=finding.line,
            column=finding.column,
            message=f"{finding.title}: {finding.text}",
            why=finding.why,
        )


class CheckView(BaseModel):
    check: Check
    status: Status = Field(description="missing: it could not be run; that is no clean result.")
    summary: str


def checks_of(evidence: Iterable[Evidence]) -> list[CheckView]:
    return [CheckView(check=p.check, status=p.status, summary=p.summary) for p in evidence]


def findings_of(evidence: Iterable[Evidence]) -> list[FindingView]:
    return [
        FindingView.of(piece.check, finding)
        for piece in evidence
        if piece.check not in _OF_OTHER_CALLERS
        for finding in piece.findings
    ]
