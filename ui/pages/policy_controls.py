"""Rows of a form: what is set, what it means, and the control; without one for those who read."""

from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from nicegui import ui

from ui.parts import attributes, box, choice, text
from ui.visit import Visit

Value = TypeVar("Value")
_NONE = "\N{EN DASH}"


class Card:
    """A card that is built anew after each choice in it."""

    def __init__(self, visit: Visit, title: str, build: Callable[["Card"], None]) -> None:
        self.visit = visit
        self._title = title
        self._build = build
        self._place = box("card", "section", aria_label=title)
        self.rebuild()

    def rebuild(self) -> None:
        self._place.clear()
        with self._place:
            self._build(self)

    def then_rebuild(self, act: Callable[[], object]) -> Callable[[], Awaitable[None]]:
        """A handler; its own button is gone afterwards."""

        async def run() -> None:
            act()
            self.rebuild()

        return self.visit.steady(run)


@contextmanager
def row(label: str, explanation: str = "") -> Generator[None]:
    """The control is built in the body."""
    with box("setting"):
        with box("grow"):
            text(label, "strong", "div")
            if explanation:
                text(explanation, "faint small", "p")
        with box("setting-value"):
            yield


def pick(
    card: Card,
    label: str,
    options: Mapping[Value, str],
    value: Value,
    on_pick: Callable[[Value], object] | None,
) -> None:
    """One of a few; ``on_pick`` is ``None`` for those who only read."""
    if on_pick is None:
        text(options[value], "strong")
        return
    with box("seg", role="group", aria_label=label):
        for option, words in options.items():
            choice(
                words,
                on=option == value,
                on_click=card.then_rebuild(_with(on_pick, option)),
            )


def toggles(
    card: Card,
    label: str,
    options: Mapping[Value, str],
    values: Collection[Value],
    on_change: Callable[[frozenset[Value]], object] | None,
) -> None:
    """Any of a few."""
    if on_change is None:
        text(", ".join(words for o, words in options.items() if o in values) or _NONE, "strong")
        return
    with box("seg", role="group", aria_label=label):
        for option, words in options.items():
            chosen = frozenset(values) ^ {option}
            choice(
                words,
                on=option in values,
                on_click=card.then_rebuild(_with(on_change, chosen)),
            )


def line(
    label: str,
    value: str,
    on_change: Callable[[str], str] | None,
    *,
    placeholder: str = "",
    wide: bool = False,
) -> None:
    """A line of text; ``on_change`` takes it and answers what is wrong with it, if anything."""
    if on_change is None:
        text(value or _NONE, "strong mono" if wide else "strong")
        return
    field = ui.input(
        value=value,
        placeholder=placeholder,
        validation=lambda given: on_change(given or "") or None,
    )
    field.classes("field wide" if wide else "field narrow")
    field.props("outlined dense no-error-icon hide-bottom-space autocomplete=off spellcheck=false")
    attributes(field, {"aria-label": label})


def _with(act: Callable[[Value], object], value: Value) -> Callable[[], object]:
    return lambda: act(value)
