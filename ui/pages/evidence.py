"""The evidence of a request: in one sentence, and in full."""

from collections.abc import Sequence

from mcpbox.domain.evidence import Check, Evidence, Risk, Status
from mcpbox.domain.requests import RequestDetail, State
from ui.parts import blank, box, callout, state_badge, text
from ui.words import CHECKS, STATES, STATUSES, risk_word

_HEADLINES: dict[Risk | None, tuple[str, str]] = {
    None: ("info", "The risk is not known yet; the evidence is being gathered."),
    Risk.LOW: ("circle-check", "Nothing new is granted, and no check found anything."),
    Risk.MEDIUM: ("triangle-alert", "Read the remarks before you approve."),
    Risk.HIGH: ("triangle-alert", "This asks for more than was granted before."),
    Risk.CRITICAL: ("shield-alert", "A check found something dangerous. Know why you approve."),
}


def show_headline(request: RequestDetail) -> None:
    """Why to look twice, in one sentence, and what approving gives."""
    if request.state is not State.AWAITING_DECISION and request.state_reason:
        tone = STATES[request.state][1]
        level = {"good": "low", "warn": "medium", "bad": "critical"}.get(tone, "unknown")
        callout(level, "info", STATES[request.state][0], request.state_reason)
    if request.state.terminal:
        return
    name, title = _HEADLINES[request.risk]
    findings = [
        finding.title
        for one in request.evidence
        for finding in one.findings
        if finding.level is not Risk.LOW
    ]
    missing = [CHECKS[one.check] for one in request.evidence if one.status is Status.MISSING]
    details: list[str] = []
    if request.needs.hosts:
        hosts = ", ".join(request.needs.hosts)
        details.append(f"Approving also lets {request.server_name} reach {hosts}.")
    if findings:
        details.append("; ".join(dict.fromkeys(findings)) + ".")
    if missing:
        details.append(f"Could not be checked: {', '.join(missing)}. That is not a clean result.")
    callout(str(request.risk or "unknown"), name, title, " ".join(details))


def show_evidence(request: RequestDetail) -> None:
    if not request.evidence:
        blank("flask-conical", "No evidence yet", "It appears here as each check ends.")
    order = list(Check)
    for evidence in sorted(request.evidence, key=lambda one: order.index(one.check)):
        _check(evidence, stale=evidence.digest != request.digest)


def _check(evidence: Evidence, *, stale: bool) -> None:
    with box("check", "section", aria_label=CHECKS[evidence.check]):
        with box("", "header"):
            text(CHECKS[evidence.check], tag="h3")
            state_badge(STATUSES[evidence.status])
            if stale:
                state_badge(("Of another version", "bad"))
        text(evidence.summary, "summary", "p")
        for finding in evidence.findings:
            with box("finding"):
                text(risk_word(finding.level), f"risk {finding.level}")
                with box("grow"):
                    where = f"Line {finding.line}: " if finding.line else ""
                    text(where + finding.title, "strong", "div")
                    text(finding.text, "muted", "div")
        if evidence.facts:
            with box("", "dl"):
                for label, value in evidence.facts.items():
                    text(label, tag="dt")
                    text(value, tag="dd")


def trial_in_words(evidence: Sequence[Evidence]) -> tuple[str, str]:
    trial = next((one for one in evidence if one.check is Check.TRIAL), None)
    if trial is None:
        return "Not run yet", "the evidence is being gathered"
    return STATUSES[trial.status][0], trial.summary
