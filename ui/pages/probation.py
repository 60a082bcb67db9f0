"""Approving for a while: the choice in the dialog, and how far a probation has come."""

from functools import partial

from nicegui import ui
from nicegui.element import Element

from mcpbox.domain.probation import Probation, ProbationTerms
from mcpbox.policies.probation import terms_in_words, what_happened
from ui.parts import attributes, box, callout, choice, text
from ui.words import clock, plural

_HOURS, _CALLS, _PERCENT = 24.0, 100.0, 20.0


class ProbationChoice:
    """As the policy says, or for good, until the visitor chooses otherwise."""

    def __init__(self, asked: ProbationTerms | None = None) -> None:
        """``asked``: by the policy; an approval may be stricter and never looser."""
        self._asked = asked
        self._on = False
        self._hours: float | None = _HOURS
        self._calls: float | None = _CALLS
        self._percent: float | None = _PERCENT

    @property
    def terms(self) -> ProbationTerms | None:
        """``None``: for good. Raises: ValidationError: a number is out of its range."""
        if not self._on:
            return None
        return ProbationTerms(
            hours=self._hours or None,
            calls=int(self._calls) if self._calls else None,
            max_error_rate=None if self._percent is None else self._percent / 100,
        )

    def show(self) -> None:
        text("For how long", "label", "div")
        if self._asked is not None:
            text(
                f"The policy says {terms_in_words(self._asked)}; you may be stricter.", "muted", "p"
            )
        place = box("seg", role="group", aria_label="For how long")
        self._fields = box("probation-fields")
        self._choices(place)

    def _choices(self, place: Element) -> None:
        place.clear()
        with place:
            usual = "For good" if self._asked is None else "As the policy says"
            stricter = "On probation" if self._asked is None else "Stricter"
            for on, label in ((False, usual), (True, stricter)):
                choice(label, on=on == self._on, on_click=partial(self._choose, on, place))

    def _choose(self, on: bool, place: Element) -> None:
        self._on = on
        self._choices(place)
        self._show_fields()

    def _show_fields(self) -> None:
        self._fields.clear()
        if not self._on:
            return
        with self._fields:
            for label, name, most in (
                ("Hours", "_hours", 24 * 366),
                ("Calls", "_calls", 10_000_000),
                ("Failing, %", "_percent", 99),
            ):
                with box(""):
                    text(label, "muted small", "div")
                    number = ui.number(min=0, max=most).bind_value(self, name)
                    number.classes("field").props("outlined dense hide-bottom-space")
                    attributes(number, {"aria-label": label})
            text(
                "Whatever is reached first withdraws the tool, and people are asked again. So does "
                "the first attempt to reach a host that the code does not name.",
                "muted small",
                "p",
            )


def show_probation(probation: Probation | None) -> None:
    """How far it has come, or how it ended; nothing for an approval for good."""
    if probation is None:
        return
    if probation.cause is not None:
        callout("high", "triangle-alert", "Withdrawn by itself", what_happened(probation))
        return
    parts = [f"Approved {terms_in_words(probation.terms)}."]
    if probation.calls_left is not None:
        parts.append(f"{plural(probation.calls_left, 'call')} left.")
    if probation.until is not None:
        parts.append(f"Ends by itself at {clock(probation.until)}.")
    parts.append(f"So far {plural(probation.calls, 'call')}, {probation.errors} failed.")
    callout("medium", "clock", "On probation", " ".join(parts))
