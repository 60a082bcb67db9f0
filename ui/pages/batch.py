"""Approving several requests of low risk, each for itself."""

from collections.abc import Sequence

from nicegui import ui

from mcpbox.domain.requests import RequestSummary
from ui.parts import attributes, box, button, icon, text
from ui.problems import ApiProblem
from ui.visit import Visit
from ui.words import change_of, plural

_TITLE = "Approve these requests?"


async def ask_for_batch(visit: Visit, requests: Sequence[RequestSummary]) -> None:
    """Ask which, and send; each is decided, or refused, with the digest that is shown here."""
    with visit.client.content:
        chosen = await _ask(requests)
    if not chosen:
        return
    try:
        answers = await visit.rest.approve_batch(chosen, "Approved in a batch of low risk.")
    except ApiProblem as problem:
        visit.show_problem(problem)
        return
    refused = [answer.refusal for answer in answers if answer.outcome is None]
    done = plural(len(answers) - len(refused), "request")
    visit.tell(f"{done} approved. {' '.join(refused)}".rstrip(), ok=not refused)


async def _ask(requests: Sequence[RequestSummary]) -> list[RequestSummary] | None:
    with ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": _TITLE})
        with box("sheet-head"):
            with box("sheet-mark ok"):
                icon("shield-check")
            with box("grow"):
                text(_TITLE, tag="h2")
                text("All are of low risk. Tick those that you have read.", "muted", "p")
        with box("sheet-body"), box("grants"):
            boxes = [
                (one, ui.checkbox(f"{one.title}  {change_of(one)}").props("dense"))
                for one in requests
            ]
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))

            def submit() -> None:
                dialog.submit([one for one, chosen in boxes if chosen.value])

            button("Approve", kind="primary", on_click=submit).mark("confirm")
    answer: list[RequestSummary] | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return answer
