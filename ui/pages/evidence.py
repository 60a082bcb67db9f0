"""The evidence of a request: in one sentence, and in full."""

from collections.abc import Sequence

from nicegui import ui

from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.requests import RequestDetail, State
from ui.pages.observed import show_hosts, show_runs
from ui.pages.score import show_score
from ui.parts import blank, box, callout, state_badge, text
from ui.words import CHECKS, FOUND, STATES, STATUSES, Tone, plural, risk_word

_ICONS: dict[Risk | None, str] = {
    None: "info",
    Risk.LOW: "circle-check",
    Risk.MEDIUM: "triangle-alert",
    Risk.HIGH: "triangle-alert",
    Risk.CRITICAL: "shield-alert",
}


def show_headline(request: RequestDetail) -> None:
    """Why to look twice, in one sentence, and what approving gives."""
    if request.state is not State.AWAITING_DECISION and request.state_reason:
        tone = STATES[request.state][1]
        level = {"good": "low", "warn": "medium", "bad": "critical"}.get(tone, "unknown")
        callout(level, "info", STATES[request.state][0], request.state_reason)
    if request.state.terminal:
        return
    findings = [
        finding.title
        for one in request.evidence
        for finding in one.findings
        if finding.level is not Risk.LOW
    ]
    missing = [CHECKS[one.check] for one in request.evidence if one.status is Status.MISSING]
    details: list[str] = []
    if findings:
        details.append("; ".join(dict.fromkeys(findings)) + ".")
    if missing:
        details.append(f"Not checked: {', '.join(missing)}. That is not a clean result.")
    if request.score is not None:
        details.append(f"Risk score: {request.score.points} of 100.")
    callout(
        str(request.risk or "unknown"),
        _ICONS[request.risk],
        _headline(request),
        " ".join(details),
    )


def _headline(request: RequestDetail) -> str:
    match request.risk:
        case None:
            return "The risk is not known yet; the evidence is being gathered."
        case Risk.LOW if request.requirement is not None:
            return "No check found anything."
        case Risk.LOW:
            return "Nothing new is granted, and no check found anything."
        case Risk.MEDIUM:
            return "Read the remarks before you approve."
        case Risk.HIGH if request.needs.hosts or request.access or request.secret_name:
            return "This asks for more than was granted before."
        case Risk.HIGH:
            return "A check found something serious, or could not be made."
        case Risk.CRITICAL:
            return "A check found something dangerous. Know why you approve."


def show_evidence(request: RequestDetail) -> None:
    if not request.evidence:
        blank("flask-conical", "No evidence yet", "It appears here as each check ends.")
    if request.score is not None:
        show_score(request.score, lambda part: _go_to(part.check))
    order = list(Check)
    for evidence in sorted(request.evidence, key=lambda one: order.index(one.check)):
        of_packages = request.lock.digest if request.lock else request.digest
        _check(evidence, stale=evidence.digest not in (request.digest, of_packages))


def _check(evidence: Evidence, *, stale: bool) -> None:
    with box("check", "section", aria_label=CHECKS[evidence.check], id=_anchor(evidence.check)):
        with box("", "header"):
            text(CHECKS[evidence.check], tag="h3")
            state_badge(_status(evidence))
            if stale:
                state_badge(("Of another version", "bad"))
        text(evidence.summary, "summary", "p")
        for finding in evidence.findings:
            if evidence.hosts and finding.level is Risk.LOW:
                continue  # the table says so
            with box("finding"):
                text(risk_word(finding.level), f"risk {finding.level}")
                with box("grow"):
                    text(_where(finding) + finding.title, "strong", "div")
                    text(finding.text, "muted", "div")
                    if finding.why:
                        text(finding.why, "muted small", "div")
        if evidence.hosts:
            show_hosts(evidence.hosts)
        if evidence.runs:
            show_runs(evidence.runs)
        if evidence.facts and not (evidence.runs and evidence.check is Check.TRIAL):
            with box("", "dl"):
                for label, value in evidence.facts.items():
                    text(label, tag="dt")
                    text(value, tag="dd")


def _where(finding: Finding) -> str:
    if not finding.line:
        return ""
    return f"Line {finding.line}:{finding.column}: " if finding.column else f"Line {finding.line}: "


def _anchor(check: Check) -> str:
    return f"check-{check.replace('_', '-')}"


def _go_to(check: Check) -> None:
    ui.run_javascript(
        f"document.getElementById('{_anchor(check)}')?.scrollIntoView({{block: 'start'}})"
    )


def _status(evidence: Evidence) -> tuple[str, Tone]:
    searched = evidence.check is Check.VULNERABILITIES and evidence.status is Status.FAILED
    return FOUND if searched else STATUSES[evidence.status]


def in_words(evidence: Sequence[Evidence], check: Check) -> tuple[str, str]:
    found = next((one for one in evidence if one.check is check), None)
    if found is None:
        return "Not run yet", "the evidence is being gathered"
    return STATUSES[found.status][0], found.summary


def remarks_in_words(
    evidence: Sequence[Evidence], check: Check, *, one: str, many: str, none: str
) -> tuple[str, str]:
    """How many, and what about; ``none``: what is said of a clean result."""
    found = next((piece for piece in evidence if piece.check is check), None)
    if found is None or found.status is Status.MISSING:
        word, why = in_words(evidence, check)
        return word, why.removeprefix(f"{word}: ")
    if not found.findings:
        return none, found.summary
    titles = dict.fromkeys(finding.title for finding in found.findings)
    return plural(len(found.findings), one, many), "; ".join(titles)
