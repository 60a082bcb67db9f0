"""The dialog that asks for a decision, and sends it."""

from functools import partial
from typing import NamedTuple
from uuid import uuid4

from nicegui import ui
from pydantic import ValidationError

from mcpbox.domain.comments import LineComment
from mcpbox.domain.decisions import LINE_COMMENTS_MAX, DecisionDraft
from mcpbox.domain.ids import DecisionId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import Outcome, RequestDetail, State
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.subjects import Kind
from mcpbox.domain.verdicts import Verdict
from ui.confirm import typed_name
from ui.highlight import lines_of
from ui.pages.approval import ApprovalChoices
from ui.parts import attributes, box, button, icon, text
from ui.problems import ApiProblem
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
    """What is said when there is no reason and one is needed."""


_MANNERS = {
    Verdict.APPROVE: _Manner(
        "Approve {}?",
        "Exactly what you saw takes effect, at once.",
        "ok",
        "shield-check",
        "primary",
        "Comment",
        "Kept with the decision",
        "An approval needs a reason here",
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


async def ask_for_decision(
    visit: Visit, request: RequestDetail, verdict: Verdict, line: int | None = None
) -> bool:
    """Ask and send; whether the API was asked, be it that it refused.

    ``line``: of the code, which the visitor wants to say something about.
    """
    # Not inside the shown request, which may be built anew while the visitor types.
    with visit.client.content:
        draft = await _ask(request, verdict, line)
    if draft is None:
        return False
    try:
        outcome = await visit.rest.decide(request.id, draft)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        message, ok = _told(request, verdict, outcome)
        visit.tell(message, ok=ok)
    return True


async def _ask(
    request: RequestDetail, verdict: Verdict, at_line: int | None
) -> DecisionDraft | None:
    """What the visitor decides, or ``None`` when the visitor thought better of it or left."""
    manner = _MANNERS[verdict]
    expected = _name_in(request)
    title = manner.title.format(request.title)
    with ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": title})
        with box("sheet-head"):
            with box(f"sheet-mark {manner.mark}"):
                icon(manner.icon)
            with box("grow"):
                text(title, tag="h2")
                text(manner.consequence, "muted", "p")
        with box("sheet-body"):
            choices, typed = ApprovalChoices(request), None
            if verdict is Verdict.APPROVE:
                choices.show()
                if needs_typed_name(request.risk):
                    typed = typed_name(expected, f"Name of the {_NAMED[request.kind]}")
            reason = _reason(manner, needed=_needs_reason(request, verdict))
            remarks = _Remarks(request.proposed.code if request.proposed else "")
            if verdict is Verdict.REQUEST_CHANGES and request.proposed:
                remarks.show(at_line)
            (remarks.first or typed or reason).props("autofocus")
            wrong = text("", "form-error", "p", role="alert")
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))

            def submit() -> None:
                wrong.set_text("")
                if not all([reason.validate(), remarks.validate(), choices.validate()]):
                    return
                try:
                    draft = DecisionDraft(
                        id=DecisionId(uuid4()),
                        verdict=verdict,
                        reason=(reason.value or "").strip(),
                        seen_digest=request.digest,
                        comments=remarks.written,
                        refused=choices.refused,
                        probation=choices.probation,
                        granted_days=choices.granted_days,
                    )
                except ValidationError as error:
                    wrong.set_text(_first_problem(error))
                else:
                    dialog.submit(draft)

            confirm = button(VERDICTS[verdict], kind=manner.button, on_click=submit)
            confirm.mark("confirm")
            if typed:
                confirm.bind_enabled_from(typed, "value", partial(_is_name, expected))
    answer: DecisionDraft | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return answer


def _name_in(request: RequestDetail) -> str:
    """What is typed to confirm."""
    if request.requirement is not None:
        return request.requirement.module
    if request.access is not None:
        return request.access.authority
    return request.secret_name or request.title


def _needs_reason(request: RequestDetail, verdict: Verdict) -> bool:
    """As the terms of the request say; a courtesy, the API decides by itself."""
    terms = request.terms or ReviewTerms()
    return verdict in terms.reasons


def _reason(manner: _Manner, *, needed: bool) -> ui.textarea:
    text(manner.reason_label, "label", "div")
    reason = ui.textarea(
        placeholder=manner.placeholder if needed else f"Optional. {manner.placeholder}",
        validation=partial(_complaint, manner.missing if needed else ""),
    )
    reason.classes("field").without_auto_validation().mark("reason").props(
        'outlined dense autogrow no-error-icon hide-bottom-space input-style="min-height:64px"'
    )
    attributes(reason, {"aria-label": manner.reason_label})
    return reason


class _Remarks:
    """Remarks at lines of the code, as many as the visitor wants."""

    def __init__(self, code: str) -> None:
        self._rows: list[tuple[ui.input, ui.input]] = []
        self._lines = len(lines_of(code))

    def show(self, at_line: int | None) -> None:
        text("At lines of the code", "label", "div")
        self._place = box("remarks")
        button("Add a remark", kind="ghost add", on_click=lambda: self._add()).mark("add-remark")
        if at_line in range(1, self._lines + 1):
            self._add(at_line)

    @property
    def first(self) -> ui.input | None:
        """Where to write what is to be said at a line that is known."""
        return self._rows[0][1] if self._rows else None

    def validate(self) -> bool:
        """Whether each has a line and a text, or neither; the fields say what is missing."""
        for line, said in self._rows:
            number, words = (line.value or "").strip(), (said.value or "").strip()
            is_line = number.isdecimal() and 0 < int(number[:9]) <= self._lines
            line.error = f"1 to {self._lines}" if (number or words) and not is_line else None
            said.error = "Say what about it" if number and not words else None
        return not any(field.error for row in self._rows for field in row)

    @property
    def written(self) -> tuple[LineComment, ...]:
        return tuple(
            LineComment(line=int(line.value), text=(said.value or "").strip()[:REASON_MAX_LENGTH])
            for line, said in self._rows
            if line.value
        )

    def _add(self, at_line: int | None = None) -> None:
        if len(self._rows) == LINE_COMMENTS_MAX:
            return
        with self._place, box("remark"):
            number = "" if at_line is None else str(at_line)
            line = ui.input(placeholder="Line", value=number).mark("remark-line")
            line.classes("field mono")
            said = ui.input(placeholder="What about it").classes("field").mark("remark-text")
        for element, label in ((line, "Line"), (said, "Remark")):
            element.props("outlined dense autocomplete=off no-error-icon hide-bottom-space")
            attributes(element, {"aria-label": label})
        self._rows.append((line, said))


def _complaint(missing: str, value: str | None) -> str | None:
    reason = (value or "").strip()
    if not reason and missing:
        return missing
    if len(reason) > REASON_MAX_LENGTH:
        return f"At most {REASON_MAX_LENGTH} characters"
    return None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"{problem['loc'][-1]}: {problem['msg'].removeprefix('Value error, ')}".capitalize()


def _is_name(name: str, typed: str | None) -> bool:
    return (typed or "").strip() == name


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
