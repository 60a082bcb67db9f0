"""``mcpbox servers``: the servers, what stops them at once, and how their calls are kept apart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.base import PageRequest
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal
from mcpbox.domain.servers import IsolationMode, ServerSummary

if TYPE_CHECKING:
    from cli.office import Office
    from mcpbox.usecases.servers import Servers

app = typer.Typer(
    no_args_is_help=True,
    help="List servers, stop, start and delete them, and choose how they are isolated.",
)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
ServerArgument = Annotated[UUID, typer.Argument(help="From `mcpbox servers list`.")]
As = Annotated[str, typer.Option("--as", help="The operator or admin who does it.")]
Why = Annotated[str, typer.Option("--reason", help="Kept in the audit log.")]
T = TypeVar("T")
Switching = Callable[[Principal, ServerId, str], Awaitable[ServerSummary]]


@app.command(name="list")
def show_list(
    *,
    page: Annotated[int, typer.Option(min=1, help="Of 100 servers each.")] = 1,
    json: Json = False,
) -> None:
    """List servers, by name."""
    wanted = PageRequest(page=page, page_size=100)
    found = _run(lambda office: office.servers.list(wanted))
    if json:
        echo_json(found.model_dump(mode="json"))
        return
    for server in found.items:
        released = f"{server.released_count} of {server.tool_count} released"
        state = "quarantined" if server.quarantine else server.desired_state
        echo(
            f"{server.id}  {state:<11} isolation {server.isolation:<8} {released:<18} {server.name}"
        )
    if found.total == 0:
        echo("There are no servers.")
    elif found.pages > 1:
        echo(f"Page {found.page} of {found.pages}; see --page.")


@app.command()
def stop(
    server_id: ServerArgument, *, reason: Why = "", who: As = "admin", json: Json = False
) -> None:
    """Stop a server at once: its tools cannot be called, and calls in flight end."""
    _switch(server_id, who, reason, "is stopped", lambda servers: servers.stop, as_json=json)


@app.command()
def start(
    server_id: ServerArgument, *, reason: Why = "", who: As = "admin", json: Json = False
) -> None:
    """Start a server again."""
    _switch(server_id, who, reason, "runs", lambda servers: servers.start, as_json=json)


@app.command()
def quarantine(
    server_id: ServerArgument, *, reason: Why, who: As = "admin", json: Json = False
) -> None:
    """Stop a server at once, and let nothing of it run before an admin lifts that."""
    told = "is quarantined"
    _switch(server_id, who, reason, told, lambda servers: servers.quarantine, as_json=json)


@app.command()
def release(
    server_id: ServerArgument, *, reason: Why, who: As = "admin", json: Json = False
) -> None:
    """Lift the quarantine of a server; it stays stopped until it is started. For admins."""
    told = "is quarantined no more; start it when it may run again"
    _switch(server_id, who, reason, told, lambda servers: servers.lift_quarantine, as_json=json)


@app.command()
def delete(
    server_id: ServerArgument, *, reason: Why = "", who: As = "admin", json: Json = False
) -> None:
    """Delete a server with its tools, grants and secrets at once; nothing undoes it."""

    async def remove(office: "Office") -> None:
        name = await office.deletion.delete(await office.person(who), ServerId(server_id), reason)
        if json:
            echo_json({"id": str(server_id), "name": name})
        else:
            echo(f"The server {name} is deleted.")

    _run(remove)


@app.command()
def set_isolation(
    server_id: ServerArgument,
    mode: Annotated[
        IsolationMode,
        typer.Argument(
            help="call: each call has a process of its own. release: a process serves many calls "
            "of one released version; faster, and a call may see what earlier ones left behind."
        ),
    ],
    *,
    who: Annotated[str, typer.Option("--as", help="The admin who chooses.")] = "admin",
    json: Json = False,
) -> None:
    """Choose how the calls of a server's tools are kept apart; it acts at once."""

    async def choose(office: "Office") -> None:
        person = await office.person(who)
        server = await office.servers.set_isolation(person, ServerId(server_id), mode)
        if json:
            echo_json(server.model_dump(mode="json"))
        else:
            echo(f"The isolation of {server.name} is {server.isolation} now.")

    _run(choose)


def _switch(
    server_id: UUID,
    who: str,
    reason: str,
    told: str,
    chosen: "Callable[[Servers], Switching]",
    *,
    as_json: bool,
) -> None:
    async def switch(office: "Office") -> None:
        person = await office.person(who)
        server = await chosen(office.servers)(person, ServerId(server_id), reason)
        if as_json:
            echo_json(server.model_dump(mode="json"))
        else:
            echo(f"The server {server.name} {told}.")

    _run(switch)


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
