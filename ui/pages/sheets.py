"""Dialogs about accounts and credentials: a question, a form, and what is shown once."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from nicegui import ui

from ui.parts import attributes, box, button, text
from ui.problems import ApiProblem
from ui.visit import Visit

T = TypeVar("T")


async def attempt(visit: Visit, ask: Callable[[], Awaitable[T]]) -> T | None:
    """``None``: the visitor was told why not."""
    try:
        return await ask()
    except ApiProblem as problem:
        visit.show_problem(problem)
        return None


async def sure(visit: Visit, title: str, consequence: str, word: str) -> bool:
    with sheet(visit, title, consequence) as dialog, box("sheet-foot"):
        button("Cancel", on_click=lambda: dialog.submit(False))
        confirm = button(word, kind="danger", on_click=lambda: dialog.submit(True))
        confirm.mark("confirm")
    answer: bool | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return bool(answer)


def shown_once(visit: Visit, title: str, said: str, secret: str) -> None:
    with sheet(visit, title, said) as dialog:
        with box("sheet-body"):
            text(secret, "mono", "p").mark("shown-once")
        with box("sheet-foot"):
            button("Close", kind="primary", on_click=dialog.close)
    dialog.open()


@contextmanager
def sheet(visit: Visit, title: str, said: str) -> Generator[ui.dialog]:
    # Not inside the shown list, which may be built anew meanwhile.
    with visit.client.content, ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": title})
        with box("sheet-head"), box("grow"):
            text(title, tag="h2")
            text(said, "muted", "p")
        yield dialog
