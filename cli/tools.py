"""``mcpbox tools``: the tools, and what takes their power away at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.base import PageRequest
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.people import Principal
from mcpbox.domain.tools import ToolDetail, ToolSummary

if TYPE_CHECKING:
    from cli.office import Office
    from mcpbox.usecases.tool_switches import ToolSwitches

app = typer.Typer(
    no_args_is_help=True, help="List tools, and disable, revoke or quarantine them at once."
)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
ToolArgument = Annotated[UUID, typer.Argument(help="From `mcpbox tools list`.")]
As = Annotated[str, typer.Option("--as", help="The operator or admin who does it.")]
Why = Annotated[str, typer.Option("--reason", help="Kept in the audit log.")]
T = TypeVar("T")
Switching = Callable[[Principal, ToolId, str], Awaitable[ToolDetail]]


@app.command(name="list")
def show_list(
    *,
    server: Annotated[UUID | None, typer.Option(help="Only this server's tools.")] = None,
    page: Annotated[int, typer.Option(min=1, help="Of 100 tools each.")] = 1,
    json: Json = False,
) -> None:
    """List tools, by server and name."""
    wanted = PageRequest(page=page, page_size=100)
    server_id = None if server is None else ServerId(server)
    found = _run(lambda office: office.tools.list(server_id, wanted))
    if json:
        echo_json(found.model_dump(mode="json"))
        return
    for tool in found.items:
        echo(f"{tool.id}  {_state(tool):<14} {tool.callable_name}")
    if found.total == 0:
        echo("There are no tools.")
    elif found.pages > 1:
        echo(f"Page {found.page} of {found.pages}; see --page.")


@app.command()
def disable(
    tool_id: ToolArgument, *, reason: Why = "", who: As = "admin", json: Json = False
) -> None:
    """Disable a tool at once: it cannot be called, and calls in flight end."""
    _switch(tool_id, who, reason, "is disabled", lambda s: s.disable, as_json=json)


@app.command()
def enable(
    tool_id: ToolArgument, *, reason: Why = "", who: As = "admin", json: Json = False
) -> None:
    """Enable a tool again."""
    _switch(tool_id, who, reason, "is enabled", lambda s: s.enable, as_json=json)


@app.command()
def revoke(tool_id: ToolArgument, *, reason: Why, who: As = "admin", json: Json = False) -> None:
    """Take a tool's released version away at once; only people's approval brings it back."""
    _switch(tool_id, who, reason, "is not released any more", lambda s: s.revoke, as_json=json)


@app.command()
def quarantine(
    tool_id: ToolArgument, *, reason: Why, who: As = "admin", json: Json = False
) -> None:
    """Disable a tool at once, and let it not run before an admin lifts that."""
    _switch(tool_id, who, reason, "is quarantined", lambda s: s.quarantine, as_json=json)


@app.command()
def release(tool_id: ToolArgument, *, reason: Why, who: As = "admin", json: Json = False) -> None:
    """Lift the quarantine of a tool; it stays disabled until it is enabled. For admins."""
    told = "is quarantined no more; enable it when it may run again"
    _switch(tool_id, who, reason, told, lambda s: s.lift_quarantine, as_json=json)


def _state(tool: ToolSummary) -> str:
    if tool.quarantine:
        return "quarantined"
    if not tool.enabled:
        return "disabled"
    if tool.revoked:
        return "revoked"
    return f"released v{tool.released_version}" if tool.released_version else "not released"


def _switch(
    tool_id: UUID,
    who: str,
    reason: str,
    told: str,
    chosen: "Callable[[ToolSwitches], Switching]",
    *,
    as_json: bool,
) -> None:
    async def switch(office: "Office") -> None:
        person = await office.person(who)
        tool = await chosen(office.switches)(person, ToolId(tool_id), reason)
        if as_json:
            echo_json(tool.model_dump(mode="json"))
        else:
            echo(f"The tool {tool.callable_name} {told}.")

    _run(switch)


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
