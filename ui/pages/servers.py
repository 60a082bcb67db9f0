"""The servers, and one of them with its tools."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from mcpbox.domain.base import Page
from mcpbox.domain.external_sources import SourceDetail
from mcpbox.domain.grants import Grant
from mcpbox.domain.modules import GrantedModule
from mcpbox.domain.recovery import Recovery
from mcpbox.domain.secrets import Secret
from mcpbox.domain.servers import ServerKind, ServerSummary
from mcpbox.domain.tools import ToolSummary
from ui.frame import Top
from ui.pages.grants import grants_card
from ui.pages.isolation import isolation_card
from ui.pages.recovery import recovery_callout
from ui.pages.secrets import secrets_card
from ui.pages.switches import server_switches
from ui.pages.tools import tool_table
from ui.parts import blank, box, connect_steps, link, state_badge, text
from ui.section import Section
from ui.tables import pager, row_link, table
from ui.visit import Visit
from ui.words import SOURCE_STATES, plural, server_state, who

_COLUMNS = (
    ("Server", ""),
    ("State", ""),
    ("Released", "num right"),
    ("Open requests", "num right optional"),
    ("Hosts it may reach", "optional"),
    ("Created", "num right optional"),
)

_MODULE_COLUMNS = (
    ("Module", ""),
    ("Package", ""),
    ("Asked for by", "optional"),
    ("Approved by", "optional"),
    ("Granted", "num right optional"),
)


async def servers_page(visit: Visit, top: Top) -> None:
    del top

    def show(page: Page[ServerSummary]) -> None:
        with box("card"):
            if not page.items and page.total == 0:
                with blank(
                    "server",
                    "No server yet",
                    "A server groups tools. A connected LLM makes one with mcpbox_create_server.",
                ):
                    connect_steps()
                return
            with table("Servers", _COLUMNS):
                for server in page.items:
                    _row(visit, server)
            pager(visit, page)

    with box("page scroll"):
        section = Section(
            visit, lambda: visit.rest.servers(page=visit.page_number), show, "page-wide"
        )
        await section.refresh()
    visit.follow(frozenset({"catalog", "requests"}), section.refresh)


def _row(visit: Visit, server: ServerSummary) -> None:
    with box("", "tr"):
        with box("main-cell", "td"):
            row_link(server.name, f"/servers/{server.id}")
            if server.kind is ServerKind.EXTERNAL:
                text("external source", "chip")
            text(server.description, "sub", title=server.description)
        with box("", "td"):
            state_badge(server_state(server))
        text(f"{server.released_count} of {server.tool_count}", "num", "td")
        text(str(server.open_request_count or "\N{EN DASH}"), "num optional", "td")
        text(", ".join(server.hosts) or "none", "muted optional", "td")
        with box("num optional faint", "td"):
            visit.stamp(server.created_at, relative=True)


class _Shown(NamedTuple):
    server: ServerSummary
    source: SourceDetail | None
    tools: Page[ToolSummary]
    modules: Sequence[GrantedModule]
    grants: Page[Grant]
    secrets: Sequence[Secret]
    recovery: Recovery | None


async def server_page(visit: Visit, top: Top) -> None:
    server_id = visit.path_id("server_id", "server")

    async def load() -> _Shown:
        held, grants, secrets, tools, recovery = await asyncio.gather(
            visit.rest.server_modules(server_id),
            visit.rest.grants(server_id),
            visit.rest.secrets(server_id),
            visit.rest.tools(server_id=server_id, page=visit.page_number),
            visit.rest.recovery(server_id),
        )
        source = await visit.rest.source_of(held.server)
        return _Shown(held.server, source, tools, held.granted, grants, secrets, recovery)

    with box("page scroll"):
        section = Section(visit, load, lambda shown: _show(visit, top, shown), "page-wide")
        await section.refresh()
    visit.follow(frozenset({"catalog", "requests", "recovery"}), section.refresh)


def _show(visit: Visit, top: Top, shown: _Shown) -> None:
    server, source, tools, modules, grants, secrets, recovery = shown
    top.name(server.name)
    with box("page-title"):
        state_badge(server_state(server))
        text(server.description, "notes", "p")
        with box("made faint", title=server.created_by):
            text(f"Created by {who(server.created_by)[1]}, ")
            visit.stamp(server.created_at, relative=True)
    recovery_callout(visit, recovery)
    server_switches(visit, server)
    with box("facts"):
        if source is not None:
            with box("fact"):
                text("Passes calls on to", "k", "div")
                with link(f"/sources/{source.id}", "v"):
                    text(source.endpoint.label)
                text(SOURCE_STATES[source.state][0].lower(), "s", "div")
        _fact(
            "Tools",
            f"{server.released_count} released",
            f"{plural(server.tool_count, 'tool')} in all",
        )
        waiting = server.open_request_count
        _fact(
            "Requests",
            f"{waiting} open" if waiting else "None open",
            "see Approvals" if waiting else "nothing to decide",
        )
        _fact("May reach", plural(len(server.hosts), "host"), ", ".join(server.hosts) or "nothing")
        _fact(
            "May import",
            plural(len(server.modules), "granted module"),
            ", ".join(server.modules) or "the default ones only",
        )
    _show_tools(visit, server, tools)
    if modules:
        _show_modules(visit, modules)
    grants_card(visit, grants)
    secrets_card(visit, secrets)
    if source is None:
        isolation_card(visit, server)


def _show_tools(visit: Visit, server: ServerSummary, tools: Page[ToolSummary]) -> None:
    with box("card"):
        with box("section-head"):
            text("Tools", "grow", "h2")
            with link(f"/tools?server_id={server.id}", "small"):
                text("Show in Tools")
        if not tools.items and tools.total == 0:
            blank(
                "wrench",
                "No tool yet",
                "Ask for those of its source that are needed, on the source's page."
                if server.kind is ServerKind.EXTERNAL
                else "A connected LLM writes one with mcpbox_create_tool, naming this server.",
            )
            return
        tool_table(visit, tools)


def _show_modules(visit: Visit, modules: Sequence[GrantedModule]) -> None:
    with box("card"):
        with box("section-head"):
            text("Granted modules", "grow", "h2")
        with table("Granted modules", _MODULE_COLUMNS):
            for one in modules:
                with box("", "tr"):
                    with box("main-cell", "td"):
                        row_link(one.module, f"/approvals?id={one.request_id}")
                    text(f"{one.package} {one.version}", "mono", "td")
                    text(who(one.requester)[1], "optional", "td", title=one.requester)
                    text(one.granted_by, "optional", "td")
                    with box("num optional faint", "td"):
                        visit.stamp(one.granted_at, relative=True)


def _fact(label: str, value: str, note: str) -> None:
    with box("fact"):
        text(label, "k", "div")
        text(value, "v", "div")
        text(note, "s", "div")
