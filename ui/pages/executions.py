"""The log of calls and trials, and one of them in full."""

import json
from collections.abc import Sequence
from typing import Any

from mcpbox.domain.base import Page
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin
from mcpbox.domain.texts import reveal
from ui.frame import Top
from ui.live import BUSY_GAP_S
from ui.parts import blank, box, link, state_badge, text
from ui.section import Section
from ui.tables import filter_links, pager, row_link, table
from ui.visit import Visit
from ui.words import OUTCOMES, clock, milliseconds, short_digest, who

_COLUMNS = (
    ("Tool", ""),
    ("Outcome", ""),
    ("Caller", "optional"),
    ("Took", "num right optional"),
    ("When", "num right"),
)
_OUTCOMES = (("", "Any outcome"), *((str(one), OUTCOMES[one][0]) for one in ExecutionOutcome))
_MANNERS = {
    Origin.CALL: "A client called the released version.",
    Origin.TRIAL: "An author tried a version that need not be approved.",
}
_ORIGINS = (("", "Calls and trials"), (str(Origin.CALL), "Calls"), (str(Origin.TRIAL), "Trials"))


async def executions_page(visit: Visit, top: Top) -> None:
    del top
    query = visit.query
    tool = query.get("tool_id", "")
    tool_id = visit.an_id(tool, "tool") if tool else None
    outcome = _one_of(query.get("outcome", ""), _OUTCOMES)
    origin = _one_of(query.get("origin", ""), _ORIGINS)

    async def load() -> Page[Execution]:
        return await visit.rest.executions(
            tool_id=tool_id, outcome=outcome, origin=origin, page=visit.page_number
        )

    def show(page: Page[Execution]) -> None:
        if page.items:
            execution_table(visit, page.items)
        elif tool or outcome or origin:
            blank("scroll-text", "Nothing matches", "Choose another outcome or origin above.")
        else:
            blank(
                "scroll-text",
                "Nothing has run yet",
                "Each call of a released tool, and each trial of an author, is kept here.",
            )
        pager(visit, page)

    with box("page scroll"), box("page-wide"):
        with box("filters"):
            filter_links(visit, "Outcome", "outcome", _OUTCOMES)
            filter_links(visit, "Origin", "origin", _ORIGINS)
            if tool:
                with link(visit.here(tool_id="", page=""), "small"):
                    text("Show all tools")
        section = Section(visit, load, show, "card")
        await section.refresh()
    if visit.page_number == 1:  # older pages would slide under the reader's eyes
        visit.follow(frozenset({"executions"}), section.refresh, gap_s=BUSY_GAP_S)


def _one_of(given: str, options: Sequence[tuple[str, str]]) -> str:
    return given if any(given == value for value, _ in options) else ""


def execution_table(visit: Visit, executions: Sequence[Execution]) -> None:
    with table("Executions", _COLUMNS):
        for execution in executions:
            with box("", "tr"):
                with box("main-cell", "td"):
                    row_link(execution.tool_name, f"/executions/{execution.id}")
                    text(_about(execution), "sub", title=execution.error)
                with box("", "td"):
                    state_badge(OUTCOMES[execution.outcome])
                text(who(execution.caller)[1], "muted optional", "td", title=execution.caller)
                text(milliseconds(execution.duration_ms), "num optional", "td")
                with box("num faint", "td"):
                    visit.stamp(execution.started_at)


def _about(execution: Execution) -> str:
    kind = "Trial of" if execution.origin is Origin.TRIAL else "Call of"
    words = f"{kind} version {execution.version_number}"
    first_line = execution.error.strip().split("\n")[-1]
    return f"{words} · {first_line}" if first_line else words


def latest_executions(visit: Visit, page: Page[Execution], all_of_them: str) -> None:
    """A short list for other pages."""
    with box("card", "section", aria_label="Latest executions"):
        with box("section-head"):
            text("Latest executions", "grow", "h2")
            with link(all_of_them, "small"):
                text(f"All {page.total}" if page.total > len(page.items) else "Executions")
        if not page.items:
            blank("scroll-text", "No calls yet", "Ask a connected client to call a released tool.")
        with box("rows"):
            for execution in page.items:
                with link(f"/executions/{execution.id}"):
                    with box("grow"):
                        text(execution.tool_name, "mono strong ellipsis", "div")
                        took = milliseconds(execution.duration_ms)
                        about = f"{who(execution.caller)[1]} · v{execution.version_number} · {took}"
                        text(about, "faint small ellipsis", "div")
                    state_badge(OUTCOMES[execution.outcome])
                    visit.stamp(execution.started_at, "when")


async def execution_page(visit: Visit, top: Top) -> None:
    execution = await visit.rest.execution(visit.path_id("execution_id", "execution"))
    top.name(execution.tool_name)
    with box("page scroll"), box("page-wide"):
        with box("page-title"):
            state_badge(OUTCOMES[execution.outcome])
            text(_MANNERS[execution.origin], "notes", "p")
        with box("facts"):
            with box("fact"):
                text("Version", "k", "div")
                target = f"/tools/{execution.tool_id}?version={execution.version_number}"
                with link(target, "v"):
                    text(f"Version {execution.version_number}")
                text(short_digest(execution.digest), "s mono", "div", title=execution.digest)
            _fact("Caller", who(execution.caller)[1], execution.caller)
            _fact("Took", milliseconds(execution.duration_ms), "from the call to its answer")
            with box("fact"):
                text("Started", "k", "div")
                with box("v"):
                    visit.stamp(execution.started_at, relative=True)
                text(clock(execution.started_at), "s", "div")
        if execution.error:
            _block("Error", execution.error, "error")
        _block("Arguments", json.dumps(execution.arguments, indent=2, ensure_ascii=False))
        _block("Result", _pretty(execution.result) if execution.result else "It returned nothing.")
        if execution.stdout:
            _block("Printed", execution.stdout)


def _fact(label: str, value: str, note: str) -> None:
    with box("fact"):
        text(label, "k", "div")
        text(value, "v", "div")
        text(note, "s", "div")


def _block(title: str, content: str, classes: str = "") -> None:
    with box("card", "section", aria_label=title):
        with box("section-head"):
            text(title, tag="h2")
        shown = "\n".join(reveal(line) for line in content.split("\n"))
        text(shown, f"text-block {classes}", "pre", tabindex="0")


def _pretty(result: str) -> str:
    """Indented where it is whole JSON; a result that was cut is shown as it is."""
    try:
        parsed: Any = json.loads(result)
    except ValueError:
        return result
    return json.dumps(parsed, indent=2, ensure_ascii=False)
