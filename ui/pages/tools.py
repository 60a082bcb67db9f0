"""The tools of all servers, or of one."""

import asyncio
from typing import NamedTuple

from mcpbox.domain.base import Page
from mcpbox.domain.servers import ServerSummary
from mcpbox.domain.tools import ToolSummary
from ui.frame import Top
from ui.parts import blank, box, connect_steps, link, state_badge, text
from ui.section import Section
from ui.tables import filter_links, pager, row_link, table
from ui.visit import Visit
from ui.words import APPROVALS, tool_state

_COLUMNS = (
    ("Tool", ""),
    ("Clients can call", ""),
    ("Newest version", "optional"),
    ("Review", "optional"),
    ("Changed", "num right optional"),
)
_FILTERED_SERVERS = 8


class _Shown(NamedTuple):
    tools: Page[ToolSummary]
    servers: Page[ServerSummary]


async def tools_page(visit: Visit, top: Top) -> None:
    del top
    given = visit.query.get("server_id", "")
    server_id = visit.an_id(given, "server") if given else None

    async def load() -> _Shown:
        tools, servers = await asyncio.gather(
            visit.rest.tools(server_id=server_id, page=visit.page_number),
            visit.rest.servers(page_size=_FILTERED_SERVERS),
        )
        return _Shown(tools, servers)

    def show(shown: _Shown) -> None:
        tools, servers = shown
        if len(servers.items) > 1 or given:
            _filters(visit, servers, given)
        with box("card"):
            if tools.total == 0:
                with blank(
                    "wrench",
                    "No tool here yet",
                    "A connected LLM writes tools with mcpbox_create_tool.",
                ):
                    if not given:
                        connect_steps()
                return
            tool_table(visit, tools)

    with box("page scroll"):
        section = Section(visit, load, show, "page-wide")
        await section.refresh()
    visit.follow(frozenset({"catalog", "requests"}), section.refresh)


def _filters(visit: Visit, servers: Page[ServerSummary], chosen: str) -> None:
    options = [("", "All servers"), *((str(s.id), s.name) for s in servers.items)]
    known = {value for value, _ in options}
    if chosen not in known:
        options.append((chosen, "One server"))
    with box("filters"):
        filter_links(visit, "Server", "server_id", options)
        if servers.total > len(servers.items):
            with link("/servers", "small"):
                text(f"All {servers.total} servers")


def tool_table(visit: Visit, page: Page[ToolSummary]) -> None:
    with table("Tools", _COLUMNS):
        for tool in page.items:
            with box("", "tr"):
                with box("main-cell", "td"):
                    row_link(tool.callable_name, f"/tools/{tool.id}")
                    text(tool.description, "sub", title=tool.description)
                with box("", "td"):
                    state_badge(tool_state(tool))
                text(f"v{tool.current_version}", "mono small muted optional", "td")
                with box("optional", "td"):
                    state_badge(APPROVALS[tool.approval])
                with box("num optional faint", "td"):
                    visit.stamp(tool.updated_at, relative=True)
    pager(visit, page)
