"""One external source: how it is, what it needs, and what it offers."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from nicegui import ui

from mcpbox.domain.external_sources import (
    NeedState,
    Offer,
    OfferedTool,
    SourceDetail,
    SourceNeed,
    SourceState,
)
from mcpbox.domain.upstreams import HttpEndpoint
from ui.confirm import Question, ask_to_confirm
from ui.frame import Top
from ui.pages.connecting import ask_where, asks_for_sign_in, connect
from ui.pages.sheets import attempt
from ui.parts import attributes, blank, box, button, callout, link, state_badge, text
from ui.section import Section
from ui.tables import table
from ui.visit import Visit
from ui.words import GRANTS, NEEDS, OFFERS, SOURCE_STATES, plural, who

_NEED_COLUMNS = (("It needs to", ""), ("State", ""), ("", "right"))
_TOOL_COLUMNS = (("", "pick"), ("Tool", ""), ("Stands", ""))
_ASKABLE = frozenset({Offer.NEW, Offer.CHANGED})
_FOR_NEEDS = Question(
    "Ask for what {} needs?",
    "A request is opened for each thing that is missing; reviewers decide about each.",
    "inbox",
    "Ask",
    mark="ok",
    kind="primary",
    needs_reason=True,
)
_OPEN = Question(
    "Let {} be at a private address?",
    "Calls of its tools then reach machines of your own network, and its address may lack TLS: "
    "whoever is between can read and change what is sent. It is for this source alone.",
    "shield-alert",
    "Allow it",
    needs_reason=True,
)
_CLOSE = Question(
    "Let {} be at public addresses alone?",
    "If its address is private, none of its tools can be called any more, at once.",
    "undo-2",
    "Forbid it",
    mark="back",
    kind="primary",
)


class _Shown(NamedTuple):
    source: SourceDetail
    needs: Sequence[SourceNeed]


async def source_page(visit: Visit, top: Top) -> None:
    source_id = visit.path_id("source_id", "source")
    picked: set[str] = set()

    async def load() -> _Shown:
        source, needs = await asyncio.gather(
            visit.rest.source(source_id), visit.rest.source_needs(source_id)
        )
        return _Shown(source, needs)

    with box("page scroll"):
        section = Section(visit, load, lambda shown: _show(visit, top, shown, picked), "page-wide")
        await section.refresh()
    visit.follow(frozenset({"catalog", "requests", "sources"}), section.refresh)


def _show(visit: Visit, top: Top, shown: _Shown, picked: set[str]) -> None:
    source = shown.source
    top.name(source.server_name)
    with box("page-title"):
        state_badge(SOURCE_STATES[source.state])
        text(source.endpoint.label, "notes mono", "p")
        with box("made faint", title=source.created_by):
            text(f"Added by {who(source.created_by)[1]}, ")
            visit.stamp(source.created_at, relative=True)
    _say_why(source)
    _facts(visit, source)
    _needs(visit, source, shown.needs)
    _tools(visit, source, picked)
    if isinstance(source.endpoint, HttpEndpoint):
        _private(visit, source)


def _say_why(source: SourceDetail) -> None:
    if source.blocked:
        callout("medium", "triangle-alert", "It may not be reached now", source.blocked)
    elif source.state is SourceState.UNREACHABLE:
        times = f"{plural(source.failures, 'look')} in a row failed. {source.problem}"
        callout("critical", "circle-x", "It does not answer as it should", times)


def _facts(visit: Visit, source: SourceDetail) -> None:
    changed = sum(tool.offer in (Offer.CHANGED, Offer.GONE) for tool in source.tools)
    with box("facts"):
        with box("fact"):
            text("Server", "k", "div")
            with link(f"/servers/{source.server_id}", "v"):
                text(source.server_name)
            text("stop, quarantine or delete it there", "s", "div")
        with box("fact"):
            text("Tools", "k", "div")
            text(f"{source.released_count} released", "v", "div")
            text(f"{source.offered_count} offered", "s", "div")
        with box("fact"):
            text("Changed since approved", "k", "div")
            text(plural(changed, "tool") if changed else "None", "v", "div")
            text("hidden until people approve" if changed else "as people approved", "s", "div")
        with box("fact"):
            text("Looked at", "k", "div")
            with box("v"):
                if source.checked_at is None:
                    text("never")
                else:
                    visit.stamp(source.checked_at, relative=True)
            text(_speaks(source), "s", "div")


def _speaks(source: SourceDetail) -> str:
    if source.snapshot is None:
        return "and every few minutes"
    named = f"{source.snapshot.server_name} {source.snapshot.server_version}".strip()
    return f"it is {named}" if named else "it does not say what it is"


def _needs(visit: Visit, source: SourceDetail, needs: Sequence[SourceNeed]) -> None:
    missing = any(need.state is NeedState.MISSING for need in needs)
    with box("card", "section", aria_label="What it needs"):
        with box("section-head wrap"):
            text("What it needs", "grow", "h2")
            if _signs_in(source, needs) and visit.visitor.may_keep_secrets:
                go = visit.steady(partial(connect, visit, source))
                button("Connect", kind="primary", name="plug", on_click=go).mark("connect")
            if missing and visit.visitor.may_switch:
                ask = visit.steady(partial(_ask_for_needs, visit, source))
                button("Ask for it", name="inbox", on_click=ask).mark("ask-needs")
        with table("What it needs", _NEED_COLUMNS):
            for need in needs:
                with box("", "tr"):
                    with box("main-cell", "td"):
                        text(f"{GRANTS[need.kind]} {need.value}", "mono")
                    with box("", "td"):
                        state_badge(NEEDS[need.state])
                    with box("right", "td"):
                        if need.request_id is not None:
                            with link(f"/approvals?id={need.request_id}"):
                                text("Open the request")
                        elif need.state is NeedState.UNSET and not _signs_in(source, needs):
                            with link(f"/servers/{source.server_id}"):
                                text("Set its value")


def _signs_in(source: SourceDetail, needs: Sequence[SourceNeed]) -> bool:
    """Once all is granted; again, to replace tokens that the source no longer takes."""
    granted = all(need.state in (NeedState.MET, NeedState.UNSET) for need in needs)
    return granted and asks_for_sign_in(source)


def _tools(visit: Visit, source: SourceDetail, picked: set[str]) -> None:
    askable = [tool for tool in source.tools if tool.offer in _ASKABLE]
    picked &= {tool.name for tool in askable}
    with box("card", "section", aria_label="What it offers"):
        with box("section-head wrap"):
            text("What it offers", "grow", "h2")
            look = visit.steady(partial(_look, visit, source))
            button("Look now", name="history", on_click=look).mark("look")
            if askable and visit.visitor.may_switch:
                ask = visit.steady(partial(_import, visit, source, picked))
                button("Ask for the ticked", kind="primary", on_click=ask).mark("import")
        if not source.tools:
            blank(
                "plug",
                "Nobody knows yet what it offers" if source.snapshot is None else "It offers none",
                "Grant what it needs, then look." if source.blocked else "Look at it now.",
            )
            return
        with table("What it offers", _TOOL_COLUMNS):
            for tool in source.tools:
                _tool_row(visit, tool, picked)


def _tool_row(visit: Visit, tool: OfferedTool, picked: set[str]) -> None:
    def tick(*, on: bool) -> None:
        (picked.add if on else picked.discard)(tool.name)

    with box("", "tr"):
        with box("pick", "td"):
            if tool.offer in _ASKABLE and visit.visitor.may_switch:
                chosen = ui.checkbox(
                    value=tool.name in picked, on_change=lambda event: tick(on=bool(event.value))
                )
                chosen.props("dense").mark(f"pick-{tool.name}")
                attributes(chosen, {"aria-label": f"Ask for {tool.name}"})
        with box("main-cell wide", "td"):
            if tool.tool_id is None:
                text(tool.name, "mono strong")
            else:
                with link(f"/tools/{tool.tool_id}", "mono strong"):
                    text(tool.name)
            if tool.source_name != tool.name:
                text(f"called {tool.source_name} there", "faint small mono", "div")
            text(tool.description, "muted small clamp", "div", title=tool.description)
            if tool.problem:
                text(tool.problem, "small", "div")
        with box("", "td"):
            state_badge(OFFERS[tool.offer])


def _private(visit: Visit, source: SourceDetail) -> None:
    allowed = source.allow_private
    with box("card"), box("section-head wrap switches"):
        with box("grow"):
            text("Private address", tag="h2")
            said = (
                "An admin lets its address be on a private network, and without TLS."
                if allowed
                else "Its address has to be public, and with TLS."
            )
            text(said, "faint small", "p")
        if visit.visitor.is_admin:
            question = _CLOSE if allowed else _OPEN
            consent = visit.steady(partial(_consent, visit, source, question))
            label = "Forbid a private address" if allowed else "Allow a private address"
            kind = "plain" if allowed else "danger-plain"
            button(label, kind=kind, name=question.icon, on_click=consent).mark("private")
        else:
            text("Only an admin changes this", "faint")


async def _ask_for_needs(visit: Visit, source: SourceDetail) -> None:
    question = _FOR_NEEDS._replace(title=_FOR_NEEDS.title.format(source.server_name))
    notes = await ask_to_confirm(visit, question)
    if notes is None:
        return
    hosts = await ask_where(visit) if asks_for_sign_in(source) else []
    if hosts is None:
        return
    needs = await attempt(visit, lambda: visit.rest.ask_for_source(source.id, notes, hosts))
    if needs is not None:
        asked = sum(need.state is NeedState.ASKED for need in needs)
        visit.tell(f"{plural(asked, 'request')} waits" if asked == 1 else f"{asked} requests wait")


async def _look(visit: Visit, source: SourceDetail) -> None:
    visit.tell(f"Looking at {source.server_name}…")
    found = await attempt(visit, lambda: visit.rest.check_source(source.id))
    if found is not None:
        healthy = found.state is SourceState.HEALTHY
        said = f"{source.server_name} offers {plural(found.offered_count, 'tool')}"
        visit.tell(said if healthy else found.problem, ok=healthy)


async def _import(visit: Visit, source: SourceDetail, picked: set[str]) -> None:
    if not picked:
        visit.tell("Tick the tools that are needed first.", ok=False)
        return
    names = sorted(picked)
    question = Question(
        f"Ask for {plural(len(names), 'tool')} of {source.server_name}?",
        "A request is opened for each, about exactly what the source says of it now.",
        "inbox",
        "Ask",
        mark="ok",
        kind="primary",
    )
    notes = await ask_to_confirm(visit, question)
    if notes is None:
        return
    found = await attempt(visit, lambda: visit.rest.import_tools(source.id, names, notes))
    if found is not None:
        picked.clear()
        problems = " ".join(f"{one.name}: {one.problem}" for one in found if one.problem)
        asked = plural(sum(one.request_id is not None for one in found), "request")
        visit.tell(f"{asked} opened. {problems}".rstrip(), ok=not problems)


async def _consent(visit: Visit, source: SourceDetail, question: Question) -> None:
    asked = question._replace(title=question.title.format(source.server_name))
    reason = await ask_to_confirm(visit, asked)
    if reason is None:
        return
    allowed = not source.allow_private
    changed = await attempt(
        visit, lambda: visit.rest.allow_private(source.id, reason, allowed=allowed)
    )
    if changed is not None:
        word = "may be at a private address" if allowed else "has to be at a public address"
        visit.tell(f"{source.server_name} {word}")
