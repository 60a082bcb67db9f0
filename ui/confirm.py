"""A dialog in front of what acts at once: what will happen, and a reason."""

from typing import NamedTuple

from nicegui import ui

from mcpbox.domain.reasons import REASON_MAX_LENGTH
from ui.parts import attributes, box, button, icon, text
from ui.visit import Visit


class Question(NamedTuple):
    title: str
    consequence: str
    icon: str
    button: str
    """The word on it; it says what will be done."""
    mark: str = "no"
    kind: str = "danger"
    needs_reason: bool = False
    asks_reason: bool = True


async def ask_to_confirm(visit: Visit, question: Question) -> str | None:
    """The reason, or ``None`` when the visitor thought better of it or left."""
    # Not inside the shown part, which may be built anew while the visitor types.
    with (
        visit.client.content,
        ui.dialog() as dialog,
        ui.card().classes("sheet"),
    ):
        attributes(dialog, {"aria-label": question.title})
        with box("sheet-head"):
            with box(f"sheet-mark {question.mark}"):
                icon(question.icon)
            with box("grow"):
                text(question.title, tag="h2")
                text(question.consequence, "muted", "p")
        reason = _reason(question) if question.asks_reason else None
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))

            def submit() -> None:
                if reason is None:
                    dialog.submit("")
                elif reason.validate():
                    dialog.submit((reason.value or "").strip())

            button(question.button, kind=question.kind, on_click=submit).mark("confirm")
    answer: str | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return answer


def _reason(question: Question) -> ui.textarea:
    with box("sheet-body"):
        text("Reason", "label", "div")
        reason = ui.textarea(
            placeholder="Kept in the audit log, and told to the author"
            if question.needs_reason
            else "Optional; kept in the audit log, and told to the author",
            validation=_required if question.needs_reason else _short_enough,
        )
        reason.classes("field").without_auto_validation().mark("reason").props(
            "outlined dense autogrow autofocus no-error-icon hide-bottom-space "
            'input-style="min-height:64px"'
        )
        attributes(reason, {"aria-label": "Reason"})
    return reason


def typed_name(name: str, label: str) -> ui.input:
    """A field for a name that has to be typed, so that nobody confirms by the way."""
    text(f"Type {name} to confirm", "label", "div")
    typed = ui.input(placeholder=name).classes("field mono").mark("typed")
    typed.props("outlined dense autocomplete=off spellcheck=false autocapitalize=none")
    attributes(typed, {"aria-label": label})
    return typed


def _required(value: str | None) -> str | None:
    return _short_enough(value) if (value or "").strip() else "This needs a reason"


def _short_enough(value: str | None) -> str | None:
    too_long = len((value or "").strip()) > REASON_MAX_LENGTH
    return f"At most {REASON_MAX_LENGTH} characters" if too_long else None
