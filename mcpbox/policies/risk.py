"""How risky a request is: points that are explained, and the level that follows from them."""

from collections.abc import Iterator, Sequence

from mcpbox.domain.evidence import (
    Contribution,
    Evidence,
    Finding,
    Risk,
    RiskScore,
    Status,
)

MAX_POINTS = 100
MEDIUM_FROM = 12
HIGH_FROM = 40
_POINTS = {Risk.LOW: 1, Risk.MEDIUM: 12, Risk.HIGH: 40, Risk.CRITICAL: 70}
_AGAIN = {Risk.LOW: 0, Risk.MEDIUM: 2, Risk.HIGH: 5, Risk.CRITICAL: 10}
"""For every further finding of the same rule, :data:`_COUNTED` of them at most."""
_COUNTED = 3
_AT_LEAST = {
    Status.PASSED: 0,
    Status.SKIPPED: 0,
    Status.WARNING: 12,
    Status.FAILED: 40,
    # A check that could not run says nothing, so the reviewer has to look harder.
    Status.MISSING: 40,
}
_ORDER = list(Risk)


def score_of(evidence: Sequence[Evidence]) -> RiskScore:
    """More evidence against it never lowers it. Without any evidence at all it is high."""
    if not evidence:
        return RiskScore(points=HIGH_FROM, level=Risk.HIGH)
    found = [part for piece in evidence for part in _contributions(piece)]
    points = min(MAX_POINTS, sum(part.points for part in found))
    ordered = sorted(found, key=lambda part: -part.points)
    return RiskScore(points=points, level=level_of(points), contributions=tuple(ordered))


def level_of(points: int) -> Risk:
    if points >= HIGH_FROM:
        return Risk.HIGH
    return Risk.MEDIUM if points >= MEDIUM_FROM else Risk.LOW


def _contributions(piece: Evidence) -> Iterator[Contribution]:
    by_rule: dict[str, list[Finding]] = {}
    for finding in piece.findings:
        by_rule.setdefault(finding.rule or finding.title, []).append(finding)
    total = 0
    for rule, findings in by_rule.items():
        points = _points_of(findings)
        total += points
        times = f" ({len(findings)} places)" if len(findings) > 1 else ""
        yield Contribution(
            points=points, reason=f"{findings[0].title}{times}", check=piece.check, rule=rule
        )
    missing = _AT_LEAST[piece.status] - total
    if missing > 0:
        yield Contribution(points=missing, reason=piece.summary, check=piece.check)


def _points_of(findings: Sequence[Finding]) -> int:
    worst = max((finding.level for finding in findings), key=_ORDER.index)
    return _POINTS[worst] + _AGAIN[worst] * min(len(findings) - 1, _COUNTED)
