"""Who decided what, and all that happened to a request."""

from mcpbox.domain.audit import Action
from mcpbox.domain.decisions import Channel, Decision
from mcpbox.domain.requests import HistoryEntry, RequestDetail
from mcpbox.domain.verdicts import Verdict
from ui.pages.thread import show_thread
from ui.parts import box, icon, text
from ui.visit import Visit
from ui.words import who

_VERDICTS = {
    Verdict.APPROVE: ("approved", "check", "good"),
    Verdict.DENY: ("denied", "x", "bad"),
    Verdict.REQUEST_CHANGES: ("requested changes", "undo-2", "warn"),
}
_ACTIONS: dict[str, tuple[str, str, str]] = {
    Action.REQUEST_OPENED: ("opened the request", "inbox", ""),
    Action.REQUEST_PRESENTED: ("presented the evidence", "flask-conical", ""),
    Action.DECISION_ADDED: ("decided", "check", "good"),
    Action.DECISION_REFUSED: ("tried to decide and was refused", "shield-alert", "bad"),
    Action.REQUEST_APPLIED: ("applied the change", "circle-check", "good"),
    Action.REQUEST_CLOSED: ("closed the request", "info", ""),
    Action.REQUEST_LEFT_TO_PEOPLE: ("left it to people", "user", ""),
    Action.REQUEST_REVISED: ("revised the request", "undo-2", ""),
    Action.REQUEST_COMMENTED: ("commented", "info", ""),
    Action.REQUEST_ASSIGNED: ("handed it over", "user", ""),
    Action.REQUEST_REMINDED: ("reminded the reviewers", "clock", ""),
    Action.REQUEST_ESCALATED: ("escalated it", "triangle-alert", "warn"),
    Action.REQUEST_BREAK_GLASS: ("forced the approval", "shield-alert", "bad"),
    Action.REQUEST_REVIEWED_AFTERWARDS: ("reviewed the forced approval", "shield-check", "good"),
    Action.DECISION_RETRACTED: ("took the vote back", "undo-2", ""),
    Action.GRANT_ADDED: ("granted", "globe", "warn"),
}


def show_history(visit: Visit, request: RequestDetail) -> None:
    with box("panel"):
        text("Decisions", tag="h2")
        if not request.decisions:
            text("Nobody has decided yet.", "muted", "p")
        with box("log", "ol"):
            for decision in request.decisions:
                _decision(visit, request, decision)
    show_thread(visit, request)
    with box("panel"):
        text("What happened", tag="h2")
        with box("log", "ol"):
            for entry in reversed(request.history):
                _entry(visit, entry)


def _decision(visit: Visit, request: RequestDetail, decision: Decision) -> None:
    did, name, tone = _VERDICTS[decision.verdict]
    by_rule = decision.channel is Channel.POLICY
    if decision.break_glass:
        did, name, tone = "forced the approval", "shield-alert", "bad"
    with box("", "li"):
        with box(f"face {tone}"):
            icon(name)
        with box("grow"):
            with box("line-row wrap"):
                reviewer = who(decision.reviewer)[1]
                text(f"The rule {reviewer} {did}" if by_rule else f"{reviewer} {did}", "strong")
                if decision.on_behalf_of:
                    text(f"for {decision.on_behalf_of}", "chip")
                if without := _without(request, decision):
                    text(without, "chip")
                text("without people" if by_rule else f"through {decision.channel}", "faint small")
            if decision.reason:
                text(decision.reason, "quote", "div")
        visit.stamp(decision.decided_at, "when faint small", relative=True)


def _without(request: RequestDetail, decision: Decision) -> str:
    """Why the vote does not count, or what it left out; empty for a plain one."""
    if decision.retracted_at is not None:
        return "taken back"
    if decision.round != request.round:
        return f"round {decision.round}"
    return f"without {', '.join(decision.refused)}" if decision.refused else ""


def _entry(visit: Visit, entry: HistoryEntry) -> None:
    did, name, tone = _ACTIONS.get(entry.action, (entry.action, "info", ""))
    with box("", "li"):
        with box(f"face {tone}"):
            icon(name)
        with box("grow"):
            text(f"{who(entry.actor)[1]} {did}", "strong", title=entry.actor)
            if entry.detail:
                text(entry.detail, "words", "div")
        visit.stamp(entry.at, "when faint small", relative=True)
