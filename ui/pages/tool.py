"""One tool: its versions, the code of each, and its latest runs."""

import asyncio
import json
from typing import NamedTuple

from nicegui import run
from nicegui.element import Element

from mcpbox.domain.base import Page
from mcpbox.domain.executions import Execution
from mcpbox.domain.receipts import ReleaseReceipt
from mcpbox.domain.tools import ToolDetail, ToolVersion
from ui.changes import contract_of
from ui.diff import FileDiff, plain_file
from ui.diff_view import DiffView
from ui.frame import Top
from ui.pages.executions import latest_executions
from ui.pages.passing import passes_on
from ui.pages.probation import show_probation
from ui.pages.receipt import show_receipt
from ui.pages.switches import tool_switches
from ui.parts import box, link, state_badge, text
from ui.section import Section
from ui.visit import Visit
from ui.words import APPROVALS, plural, tool_state, who

_LATEST = 5


class _Shown(NamedTuple):
    tool: ToolDetail
    versions: list[ToolVersion]
    files: list[FileDiff]
    latest: Page[Execution]
    receipt: ReleaseReceipt | None
    number: int
    """The version whose code is shown."""


async def tool_page(visit: Visit, top: Top) -> None:
    tool_id = visit.path_id("tool_id", "tool")
    wanted = visit.query.get("version", "")

    async def load() -> _Shown:
        tool, versions, latest, receipt = await asyncio.gather(
            visit.rest.tool(tool_id),
            visit.rest.versions(tool_id),
            visit.rest.executions(tool_id=tool_id, page_size=_LATEST),
            visit.rest.receipt(tool_id),
        )
        usual = tool.released or tool.current
        version = next((v for v in versions if str(v.number) == wanted), usual)
        files = await run.io_bound(_files, tool, version)
        return _Shown(tool, versions, files or [], latest, receipt, version.number)

    with box("page scroll"):
        section = Section(visit, load, lambda shown: _show(visit, top, shown), "page-wide")
        await section.refresh()
    visit.follow(frozenset({"catalog", "requests"}), section.refresh)


def _files(tool: ToolDetail, version: ToolVersion) -> list[FileDiff]:
    schema = json.dumps(version.input_schema, indent=2, ensure_ascii=False) + "\n"
    path = f"{tool.server_name}/{version.name}"
    if version.passes_to is not None:
        return [plain_file(f"{path}.json", contract_of(version))]
    return [plain_file(f"{path}.py", version.code), plain_file(f"{path}.schema.json", schema)]


def _show(visit: Visit, top: Top, shown: _Shown) -> None:
    tool = shown.tool
    top.name(tool.callable_name)
    with box("page-title"):
        state_badge(tool_state(tool))
        if tool.released is None or tool.released.number != tool.current_version:
            state_badge(APPROVALS[tool.approval])
        text(tool.description, "notes", "p")
    tool_switches(visit, tool)
    show_probation(tool.probation)
    _facts(visit, tool)
    if tool.released is not None:
        show_receipt(visit, shown.receipt)
    with box("columns"):
        _versions(visit, shown)
        latest_executions(visit, shown.latest, f"/executions?tool_id={tool.id}")
    passes_to = next((v.passes_to for v in shown.versions if v.number == shown.number), None)
    if passes_to is not None:
        passes_on(passes_to)
    what = "Code" if passes_to is None else "What its source says"
    text(f"{what} of version {shown.number}", tag="h2")
    DiffView(shown.files)


def _facts(visit: Visit, tool: ToolDetail) -> None:
    needs = (tool.released or tool.current).manifest
    with box("facts"):
        with _fact("Server", ""), link(f"/servers/{tool.server_id}", "v"):
            text(tool.server_name)
        with _fact("Reaches", plural(len(needs.hosts), "host")):
            text(", ".join(needs.hosts) or "nothing", "s", "div")
        with _fact("Modules", plural(len(needs.modules), "module")):
            text(", ".join(needs.modules) or "imports none", "s", "div")
        with _fact("Created by", who(tool.created_by)[1]):
            visit.stamp(tool.created_at, "s", relative=True)


def _fact(label: str, value: str) -> Element:
    with box("fact") as fact:
        text(label, "k", "div")
        if value:
            text(value, "v", "div")
    return fact


def _versions(visit: Visit, shown: _Shown) -> None:
    released = shown.tool.released.number if shown.tool.released else None
    with box("card", "section", aria_label="Versions"):
        with box("section-head"):
            text("Versions", "grow", "h2")
            text("Choose one to read it", "faint small")
        with box("rows rows-tall"):
            for version in shown.versions:
                with link(visit.here(version=str(version.number))) as row:
                    with box("grow"):
                        text(f"Version {version.number}", "strong", "div")
                        about = f"{who(version.author)[1]} · needs {_needs(version)}"
                        text(about, "faint small ellipsis", "div", title=version.digest)
                    with box("line-row"):
                        if version.number == shown.number:
                            row.props("aria-current=true")
                            state_badge(("Shown", "busy"))
                        if version.number == released:
                            state_badge(("Released", "good"))
                    visit.stamp(version.created_at, "when")


def _needs(version: ToolVersion) -> str:
    return ", ".join((*version.manifest.hosts, *version.manifest.secret_names)) or "nothing"
