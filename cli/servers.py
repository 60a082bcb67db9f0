"""``mcpbox servers``: the servers, and how their calls are kept apart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.base import PageRequest
from mcpbox.domain.ids import ServerId
from mcpbox.domain.servers import IsolationMode

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(no_args_is_help=True, help="List servers, and choose how they are isolated.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
T = TypeVar("T")


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
        echo(
            f"{server.id}  {server.desired_state:<8} isolation {server.isolation:<8} "
            f"{released:<18} {server.name}"
        )
    if found.total == 0:
        echo("There are no servers.")
    elif found.pages > 1:
        echo(f"Page {found.page} of {found.pages}; see --page.")


@app.command()
def set_isolation(
    server_id: Annotated[UUID, typer.Argument(help="From `mcpbox servers list`.")],
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


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
