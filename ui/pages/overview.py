"""The first page: what waits, what runs, and how it went today."""

import asyncio
from typing import NamedTuple

from mcpbox.domain.base import Page
from mcpbox.domain.executions import Execution, Overview
from mcpbox.domain.recovery import Recovery
from mcpbox.domain.requests import RequestSummary, State
from ui.frame import Top
from ui.live import BUSY_GAP_S
from ui.pages.executions import latest_executions
from ui.pages.recovery import recoveries_callout
from ui.parts import blank, box, callout, connect_steps, icon, link, risk_badge, text
from ui.rest import System
from ui.section import Section
from ui.visit import Visit
from ui.words import milliseconds, plural, who

_SHOWN = 6


class _Shown(NamedTuple):
    system: System
    numbers: Overview
    waiting: Page[RequestSummary]
    latest: Page[Execution]
    recoveries: list[Recovery]


async def overview_page(visit: Visit, top: Top) -> None:
    del top

    async def load() -> _Shown:
        rest = visit.rest
        system, numbers, waiting, latest, recoveries = await asyncio.gather(
            rest.system(),
            rest.overview(),
            rest.requests((State.AWAITING_DECISION,), page_size=_SHOWN),
            rest.executions(page_size=_SHOWN),
            rest.recoveries(),
        )
        return _Shown(system, numbers, waiting, latest, recoveries)

    def show(shown: _Shown) -> None:
        recoveries_callout(shown.recoveries)
        _warnings(shown.system)
        _tiles(shown.numbers)
        if not shown.numbers.tools_total:
            with (
                box("card"),
                blank("plug", "Connect a client to begin", "An LLM writes the tools; you decide."),
            ):
                connect_steps()
            return
        _calls(shown.numbers)
        with box("columns"):
            _waiting(visit, shown.waiting)
            latest_executions(visit, shown.latest, "/executions")

    with box("page scroll"):
        section = Section(visit, load, show, "page-wide")
        await section.refresh()
    visit.follow(frozenset({"requests", "catalog", "recovery"}), section.refresh)
    visit.follow(frozenset({"executions"}), section.refresh, gap_s=BUSY_GAP_S)


def _warnings(system: System) -> None:
    for service in system.services:
        if service.warnings:
            title = f"{service.name}: {service.detail}, but not every layer of it is active"
            callout("medium", "shield-alert", title, " ".join(service.warnings))


def _tiles(numbers: Overview) -> None:
    waiting = numbers.awaiting_decision
    with box("tiles"):
        _tile(
            "inbox",
            "Waiting for you",
            str(waiting),
            "",
            "Decide now" if waiting else "Nothing to decide",
            "/approvals",
            loud=waiting > 0,
        )
        _tile(
            "wrench",
            "Tools released",
            str(numbers.tools_released),
            f"of {numbers.tools_total}",
            "What clients can call",
            "/tools",
        )
        _tile(
            "server",
            "Servers running",
            str(numbers.servers_running),
            f"of {numbers.servers_total}",
            "Stopping one stops its tools",
            "/servers",
        )
        failed = f"{numbers.calls_failed} failed" if numbers.calls_failed else "None failed"
        _tile("scroll-text", "Calls, 24 hours", str(numbers.calls), "", failed, "/executions")


def _tile(
    name: str,
    label: str,
    value: str,
    unit: str,
    note: str,
    target: str,
    *,
    loud: bool = False,
) -> None:
    with link(target, "tile loud" if loud else "tile"):
        with box("k"):
            icon(name, "i-14")
            text(label)
        with box("v"):
            text(value)
            if unit:
                text(unit, tag="small")
        text(note, "s", "div")


def _calls(numbers: Overview) -> None:
    """Bars of plain boxes: they follow the colour scheme and need no library."""
    highest = max([1, *numbers.calls_by_hour])
    summary = (
        f"{plural(numbers.calls, 'call')} in the last 24 hours, {numbers.calls_failed} failed; "
        f"at most {highest} in an hour"
    )
    with box("card chart", "section", aria_label="Calls by hour"):
        with box("bar"):
            text("Calls by hour", tag="h2")
            with box("legend"):
                with box("", "span"):
                    box("swatch")
                    text("Succeeded")
                with box("", "span"):
                    box("swatch no")
                    text("Failed")
            box("grow")
            with box("line-row muted small"):
                half, most = milliseconds(numbers.call_p50_ms), milliseconds(numbers.call_p99_ms)
                text(f"p50 {half}", title="Half of the calls were faster")
                text(f"p99 {most}", title="One call in a hundred was slower")
        with box("bars", role="img", aria_label=summary):
            hours = zip(numbers.calls_by_hour, numbers.failures_by_hour, strict=True)
            for index, (calls, failures) in enumerate(hours):
                hours_ago = len(numbers.calls_by_hour) - 1 - index
                when = f"{hours_ago} h ago" if hours_ago else "This hour"
                with box(title=f"{when}: {plural(calls, 'call')}, {failures} failed"):
                    if failures:
                        box("no").style(f"height: {failures / highest:.2%}")
                    box("ok").style(f"height: {(calls - failures) / highest:.2%}")
        with box("axis", aria_hidden="true"):
            for label in ("24 h ago", "18 h", "12 h", "6 h", "now"):
                text(label)


def _waiting(visit: Visit, page: Page[RequestSummary]) -> None:
    with box("card", "section", aria_label="Waiting for a decision"):
        with box("section-head"):
            text("Waiting for a decision", "grow", "h2")
            with link("/approvals", "small"):
                text(f"All {page.total}" if page.total > len(page.items) else "Approvals")
        if not page.items:
            blank("circle-check", "Nothing waits", "New requests appear here by themselves.")
        with box("rows"):
            for request in page.items:
                with link(f"/approvals?id={request.id}"):
                    with box("grow"):
                        text(request.title, "mono strong ellipsis", "div")
                        text(who(request.requester)[1], "faint small ellipsis", "div")
                    risk_badge(request.risk)
                    visit.stamp(request.created_at, "when")
