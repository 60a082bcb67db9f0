"""Deputies: who decides for the visitor while they are away, and for whom the visitor does."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from nicegui import ui

from mcpbox.domain.people import Delegation
from ui.confirm import Question, ask_to_confirm
from ui.frame import Top
from ui.parts import attributes, blank, box, button, callout, icon, text
from ui.problems import ApiProblem
from ui.section import Section
from ui.tables import table
from ui.visit import Visit
from ui.words import clock, until

_COLUMNS = (("Person", ""), ("You decide for them until", ""), ("Named you", "num right optional"))
_AWAY = timedelta(days=7)


async def delegations_page(visit: Visit, top: Top) -> None:
    del top

    def show(running: list[Delegation]) -> None:
        me = visit.visitor.username
        mine = next((one for one in running if one.delegator == me), None)
        if mine is not None:
            _show_mine(visit, mine, section)
        elif visit.visitor.decides_by_role:
            _Form(visit, section).show()
        else:
            callout(
                "unknown",
                "info",
                "You have nothing to hand over",
                "A deputy decides with the roles of the person who is away, and yours decide "
                "nothing.",
            )
        _show_others(visit, [one for one in running if one.deputy == me])

    with box("page scroll"):
        section = Section(visit, visit.rest.delegations, show, "page-wide")
        await section.refresh()


def _show_mine(visit: Visit, mine: Delegation, section: Section[list[Delegation]]) -> None:
    async def end() -> None:
        question = Question(
            title=f"End the deputy of {mine.deputy}?",
            consequence="They decide nothing in your right any more. What they decided stays.",
            icon="undo-2",
            button="I am back",
            mark="back",
            kind="primary",
            asks_reason=False,
        )
        if await ask_to_confirm(visit, question) is None:
            return
        try:
            await visit.rest.end_delegation()
        except ApiProblem as problem:
            visit.show_problem(problem)
        else:
            visit.tell(f"{mine.deputy} is no longer your deputy")
            await section.refresh()

    with box("card", "section", aria_label="Your deputy"), box("chain-head"):
        with box("sheet-mark back"):
            icon("user-check")
        with box("grow"):
            text(f"{mine.deputy} decides for you", tag="h2")
            text(f"It ends by itself {until(mine.until, datetime.now(UTC))}, ", "muted")
            text(f"at {clock(mine.until)}.", "muted")
        button("I am back", name="undo-2", on_click=visit.steady(end)).mark("end-delegation")


class _Form:
    """Names a deputy; what is wrong is said at the field."""

    def __init__(self, visit: Visit, section: Section[list[Delegation]]) -> None:
        self._visit = visit
        self._section = section

    def show(self) -> None:
        with box("card", "section", aria_label="Name a deputy"):
            with box("section-head"), box("grow"):
                text("While you are away", tag="h2")
                text(
                    "A deputy decides with your roles. Every such vote says in whose right it was "
                    "given, and a right is used once on a request.",
                    "faint small",
                    "p",
                )
            with box("deputy-form"):
                with box("deputy-field"):
                    text("Deputy", "label", "label")
                    self._deputy = ui.input(placeholder="User name", validation=_name_complaint)
                    self._deputy.classes("field").without_auto_validation().mark("deputy")
                with box("deputy-field"):
                    text("Last day away", "label", "label")
                    usual = (datetime.now(UTC) + _AWAY).date().isoformat()
                    self._last_day = ui.input(value=usual, validation=_day_complaint)
                    self._last_day.classes("field").without_auto_validation().mark("last-day")
                    self._last_day.props("type=date")
                for field, label in ((self._deputy, "Deputy"), (self._last_day, "Last day away")):
                    field.props("outlined dense autocomplete=off no-error-icon hide-bottom-space")
                    attributes(field, {"aria-label": label})
                name = button(
                    "Name deputy",
                    kind="primary",
                    name="user-check",
                    on_click=self._visit.steady(self._send),
                )
                name.mark("delegate")

    async def _send(self) -> None:
        given = [self._deputy.validate(), self._last_day.validate()]
        if not all(given):
            return
        deputy = (self._deputy.value or "").strip()
        end = _end_of(date.fromisoformat(self._last_day.value or ""))
        try:
            await self._visit.rest.delegate(deputy, end)
        except ApiProblem as problem:
            self._deputy.error = problem.detail
        else:
            self._visit.tell(f"{deputy} decides for you until {clock(end)}")
            await self._section.refresh()


def _show_others(visit: Visit, others: Sequence[Delegation]) -> None:
    with box("card", "section", aria_label="You stand in for"):
        with box("section-head"):
            text("You stand in for", "grow", "h2")
        if not others:
            blank(
                "user", "Nobody", "Who names you as their deputy is listed here until they return."
            )
            return
        with table("You stand in for", _COLUMNS):
            for one in others:
                with box("", "tr"):
                    text(one.delegator, "strong", "td")
                    text(f"{one.until:%Y-%m-%d %H:%M} UTC", "", "td")
                    with box("num optional faint", "td"):
                        visit.stamp(one.created_at, relative=True)


def _name_complaint(value: str | None) -> str | None:
    return None if (value or "").strip() else "Whom do you name?"


def _day_complaint(value: str | None) -> str | None:
    try:
        last_day = date.fromisoformat(value or "")
    except ValueError:
        return "Give a day"
    return None if _end_of(last_day) > datetime.now(UTC) else "That day is over"


def _end_of(day: date) -> datetime:
    """Its midnight, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)
