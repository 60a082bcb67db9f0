"""The dialog that asks for a decision, and sends it."""

from functools import partial
from typing import NamedTuple
from uuid import uuid4

from nicegui import ui

from mcpbox.domain.ids import DecisionId
from mcpbox.domain.requests import (
    REASON_MAX_LENGTH,
    DecisionDraft,
    Kind,
    Outcome,
    RequestDetail,
    State,
    Verdict,
)
from ui.pages.facts import show_consequences
from ui.pages.probation import ProbationChoice
from ui.parts import attributes, box, button, icon, text
from ui.rest import ApiProblem
from ui.visit import Visit
from ui.words import STATES, VERDICTS, needs_typed_name


class _Manner(NamedTuple):
    title: str
    consequence: str
    mark: str
    icon: str
    button: str
    reason_label: str
    placeholder: str
    missing: str
    """What is said when there is no reason; empty where none is needed."""


_MANNERS = {
    Verdict.APPROVE: _Manner(
        "Approve {}?",
        "Exactly what you saw takes effect, at once.",
        "ok",
        "shield-check",
        "primary",
        "Comment",
        "Optional, kept with the decision",
        "",
    ),
    Verdict.REQUEST_CHANGES: _Manner(
        "Request changes to {}?",
        "The request stays open; the author is told what to change.",
        "back",
        "undo-2",
        "primary",
        "What has to change",
        "The LLM reads this and revises what it asks for",
        "The author needs to know what to change",
    ),
    Verdict.DENY: _Manner(
        "Deny {}?",
        "The request is closed for good; what runs now stays as it is.",
        "no",
        "x",
        "danger",
        "Reason",
        "The LLM reads this",
        "A denial needs a reason",
    ),
}

_NAMED = {
    Kind.PUBLISH: "tool",
    Kind.MODULE_GRANT: "module",
    Kind.HOST_GRANT: "host",
    Kind.SECRET_BINDING: "secret",
    Kind.ROLLBACK: "tool",
    Kind.RESTORE: "tool",
}


async def ask_for_decision(visit: Visit, request: RequestDetail, verdict: Verdict) -> bool:
    """Ask and send; whether the API was asked, be it that it refused."""
    # Not inside the shown request, which may be built anew while the visitor types.
    with visit.client.content:
        probation = ProbationChoice()
        reason = await _ask(request, verdict, probation)
    if reason is None:
        return False
    draft = DecisionDraft(
        id=DecisionId(uuid4()),
        verdict=verdict,
        reason=reason,
        seen_digest=request.digest,
        probation=probation.terms,
    )
    try:
        outcome = await visit.rest.decide(request.id, draft)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        message, ok = _told(request, verdict, outcome)
        visit.tell(message, ok=ok)
    return True


async def _ask(request: RequestDetail, verdict: Verdict, probation: ProbationChoice) -> str | None:
    """The reason, or ``None`` when the visitor thought better of it or left."""
    manner = _MANNERS[verdict]
    name = request.title
    careful = verdict is Verdict.APPROVE and needs_typed_name(request.risk)
    expected = name
    if request.requirement is not None:
        expected = request.requirement.module
    elif request.access is not None:
        expected = request.access.authority
    elif request.secret_name is not None:
        expected = request.secret_name
    title = manner.title.format(name)
    with ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": title})
        with box("sheet-head"):
            with box(f"sheet-mark {manner.mark}"):
                icon(manner.icon)
            with box("grow"):
                text(title, tag="h2")
                text(manner.consequence, "muted", "p")
        with box("sheet-body"):
            if verdict is Verdict.APPROVE:
                show_consequences(request)
                if request.proposed is not None:
                    probation.show()
            typed = _typed_name(expected, request.kind) if careful else None
            text(manner.reason_label, "label", "div")
            reason = ui.textarea(
                placeholder=manner.placeholder,
                validation=partial(_complaint, manner),
            )
            reason.classes("field").without_auto_validation().mark("reason").props(
                "outlined dense autogrow no-error-icon hide-bottom-space "
                'input-style="min-height:64px"'
            )
            attributes(reason, {"aria-label": manner.reason_label})
            (typed or reason).props("autofocus")
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))

            def submit() -> None:
                if reason.validate():
                    dialog.submit((reason.value or "").strip())

            confirm = button(VERDICTS[verdict], kind=manner.button, on_click=submit)
            confirm.mark("confirm")
            if typed:
                confirm.bind_enabled_from(typed, "value", partial(_is_name, expected))
    answer: str | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return answer


def _complaint(manner: _Manner, value: str | None) -> str | None:
    reason = (value or "").strip()
    if not reason and manner.missing:
        return manner.missing
    if len(reason) > REASON_MAX_LENGTH:
        return f"At most {REASON_MAX_LENGTH} characters"
    return None


def _is_name(name: str, typed: str | None) -> bool:
    return (typed or "").strip() == name


def _typed_name(name: str, kind: Kind) -> ui.input:
    text(f"Type {name} to confirm", "label", "div")
    typed = ui.input(placeholder=name).classes("field mono").mark("typed")
    typed.props("outlined dense autocomplete=off spellcheck=false autocapitalize=none")
    attributes(typed, {"aria-label": f"Name of the {_NAMED[kind]}"})
    return typed


def _told(request: RequestDetail, verdict: Verdict, outcome: Outcome) -> tuple[str, bool]:
    """What happened, and whether that is what the reviewer wanted."""
    name = request.title
    if verdict is Verdict.DENY:
        return f"{name} was denied", True
    if verdict is Verdict.REQUEST_CHANGES:
        return f"Changes to {name} were requested", True
    if outcome.state is State.APPLIED:
        return f"{name} was approved and takes effect now", True
    if outcome.state is State.APPLY_FAILED:
        return f"{name} was approved but could not be applied. {outcome.state_reason}", False
    if outcome.state is State.AWAITING_DECISION:
        return f"Your approval of {name} is recorded; others are still needed", True
    return f"{name}: {STATES[outcome.state][0].lower()}", outcome.state is not State.VETOED
