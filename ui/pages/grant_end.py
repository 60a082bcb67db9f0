"""How long a grant holds: as it was asked for, or shorter, as the visitor chooses."""

from functools import partial

from nicegui import ui
from nicegui.element import Element

from mcpbox.domain.decisions import GRANTED_DAYS_MAX
from mcpbox.domain.requests import RequestDetail
from ui.parts import attributes, box, choice, text
from ui.words import plural

_OFFERED = (7, 30)
_OTHER = "Other"


class GrantEnd:
    """Never longer than it was asked for."""

    def __init__(self, request: RequestDetail) -> None:
        self._asked = request.days
        self._longest = request.days or GRANTED_DAYS_MAX
        self._chosen = ""
        self._other: ui.number | None = None

    @property
    def days(self) -> int | None:
        """``None``: as it was asked for."""
        given = None if self._other is None else self._other.value
        if given is not None:
            return int(given)
        return next((days for days in _OFFERED if self._chosen == _words(days)), None)

    def validate(self) -> bool:
        """Whether it says how long; the field says what is missing."""
        if self._other is None:
            return True
        given: float | None = self._other.value
        fits = given is not None and given == int(given) and 1 <= given <= self._longest
        self._other.error = None if fits else f"1 to {self._longest} days"
        return fits

    def show(self) -> None:
        text("The grant holds", "label", "div")
        place = box("seg", role="group", aria_label="The grant holds")
        self._field = box("grant-days")
        self._choices(place)

    def _choices(self, place: Element) -> None:
        offered = [_words(days) for days in _OFFERED if days < self._longest]
        place.clear()
        with place:
            choice(
                "No end" if self._asked is None else f"{_words(self._asked)}, as asked",
                on=not self._chosen,
                on_click=partial(self._choose, "", place),
            )
            for words in (*offered, _OTHER):
                choice(
                    words,
                    on=words == self._chosen,
                    on_click=partial(self._choose, words, place),
                )

    def _choose(self, words: str, place: Element) -> None:
        self._chosen = words
        self._choices(place)
        self._field.clear()
        self._other = None
        if words == _OTHER:
            with self._field:
                self._other = ui.number(placeholder="Days").classes("field").mark("granted-days")
                self._other.props("outlined dense no-error-icon hide-bottom-space autofocus")
                attributes(self._other, {"aria-label": "Days"})


def _words(days: int) -> str:
    return plural(days, "day")
