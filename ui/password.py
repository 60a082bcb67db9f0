"""Choosing a password of one's own; every session ends, so one signs in again."""

from nicegui import ui

from mcpbox.domain.people import PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH
from ui.pages.sheets import sheet
from ui.parts import attributes, box, button, text
from ui.problems import ApiProblem
from ui.visit import Visit


def ask_for_password(visit: Visit) -> None:
    said = "Your sessions end everywhere, and you sign in with the new one."
    with sheet(visit, "Change your password", said) as dialog:
        with box("sheet-body"):
            current = _field("Present password", "current-password")
            new = _field(f"New password, {PASSWORD_MIN_LENGTH} characters or more", "new-password")
        with box("sheet-foot"):
            button("Cancel", on_click=dialog.close)

            async def change() -> None:
                try:
                    await visit.rest.change_password(current.value or "", new.value or "")
                except ApiProblem as problem:
                    visit.show_problem(problem)
                else:
                    visit.leave()

            button("Change", kind="primary", on_click=visit.steady(change)).mark("confirm")
    dialog.open()


def _field(label: str, purpose: str) -> ui.input:
    text(label, "label", "div")
    field = ui.input(password=True).classes("field")
    field.props("outlined dense")
    values = {"aria-label": label, "autocomplete": purpose, "maxlength": str(PASSWORD_MAX_LENGTH)}
    attributes(field, values)
    return field
