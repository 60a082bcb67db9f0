"""The risk of a request as points: how many, of what, and from where they would be more."""

from collections.abc import Callable

from mcpbox.domain.evidence import Contribution, RiskScore
from mcpbox.policies.risk import HIGH_FROM, MAX_POINTS, MEDIUM_FROM
from ui.parts import attributes, box, risk_badge, text
from ui.words import CHECKS, plural

_SHOWN = 8


def show_score(score: RiskScore, go_to: Callable[[Contribution], object]) -> None:
    with box("check score", "section", aria_label="Risk score"):
        with box("", "header"):
            text("Risk score", tag="h3")
            risk_badge(score.level)
            with box("score-number"):
                text(str(score.points), "strong")
                text(f"of {MAX_POINTS}", "muted")
        _meter(score)
        if not score.contributions:
            text("No check found anything that counts.", "summary", "p")
            return
        with box("contributions", "ul"):
            for part in score.contributions[:_SHOWN]:
                _contribution(part, go_to)
        rest = score.contributions[_SHOWN:]
        if rest:
            points = sum(part.points for part in rest)
            text(f"and {plural(len(rest), 'smaller reason')}, +{points} together", "muted small")
        if sum(part.points for part in score.contributions) > MAX_POINTS:
            text(f"Together they are more than {MAX_POINTS}; that is where it ends.", "muted small")


def _meter(score: RiskScore) -> None:
    label = (
        f"{score.points} of {MAX_POINTS} points; medium from {MEDIUM_FROM}, high from {HIGH_FROM}"
    )
    with box(f"meter {score.level}", role="img", aria_label=label):
        attributes(box("fill"), {"style": f"width: {score.points}%"})
        for at, word in ((MEDIUM_FROM, "medium"), (HIGH_FROM, "high")):
            with box("mark") as mark:
                attributes(mark, {"style": f"left: {at}%"})
                text(word)


def _contribution(part: Contribution, go_to: Callable[[Contribution], object]) -> None:
    with box("", "li"):
        text(f"+{part.points}", "points")
        text(part.reason, "grow")
        with box("link", "button", type="button") as reference:
            text(CHECKS[part.check])
        reference.on("click", lambda: go_to(part), [])
