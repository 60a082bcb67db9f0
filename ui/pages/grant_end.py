"""How long a grant holds: as it was asked for, or shorter, as the visitor chooses."""

from functools import partial

from nicegui import ui
from nicegui.element import Element

from mcpbox.domain.decisions import GRANTED_DAYS_MAX
from mcpbox.domain.requests import RequestDetail
from ui.parts import attributes, box, choice, text
from ui.words import lasting, plural

_OFFERED = (7, 30)
_OTHER = "Other"


class GrantEnd:
    """Never longer than it was asked for."""

    def __init__(self, request: RequestDetail) -> None:
        self._asked = request.days
        self._chosen = ""
        self._other: float | None = None

    @property
    def days(self) -> int | None:
        """``None``: as it was asked for, or no number was given."""
        if self._chosen == _OTHER:
            return None if self._other is None else int(self._other)
        return next((days for days in _OFFERED if self._chosen == _words(days)), None)

    def show(self) -> None:
        text("The grant holds", "label", "div")
        place = box("seg", role="group", aria_label="The grant holds")
        self._field = box("grant-days")
        self._choices(place)

    def _choices(self, place: Element) -> None:
        longest = self._asked or GRANTED_DAYS_MAX
        offered = [_words(days) for days in _OFFERED if days < longest]
        place.clear()
        with place:
            choice(
                lasting(self._asked).capitalize(),
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
        if words == _OTHER:
            with self._field:
                number = ui.number(min=1, max=self._asked or GRANTED_DAYS_MAX, placeholder="Days")
                number.bind_value(self, "_other").classes("field").mark("granted-days")
                number.props("outlined dense hide-bottom-space autofocus")
                attributes(number, {"aria-label": "Days"})


def _words(days: int) -> str:
    return plural(days, "day")
