"""``mcpbox grants``: what a server's tools may use, and taking it back at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.base import PageRequest
from mcpbox.domain.grants import Grant
from mcpbox.domain.ids import GrantId, ServerId

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(no_args_is_help=True, help="See what servers were granted, and take it back.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
T = TypeVar("T")


@app.command(name="list")
def show_list(
    server_id: Annotated[UUID, typer.Argument(help="From `mcpbox servers list`.")],
    *,
    ended: Annotated[bool, typer.Option("--all", help="Also those that hold no more.")] = False,
    page: Annotated[int, typer.Option(min=1, help="Of 100 grants each.")] = 1,
    json: Json = False,
) -> None:
    """List the grants of a server, by kind."""
    wanted = PageRequest(page=page, page_size=100)
    found = _run(lambda office: office.grants.list(ServerId(server_id), wanted, ended=ended))
    if json:
        echo_json(found.model_dump(mode="json"))
        return
    for grant in found.items:
        echo(f"{grant.id}  {grant.kind:<7} {grant.state:<8} {_end(grant):<25} {grant.value}")
    if found.total == 0:
        echo("Nothing is granted.")
    elif found.pages > 1:
        echo(f"Page {found.page} of {found.pages}; see --page.")


@app.command()
def revoke(
    grant_id: Annotated[UUID, typer.Argument(help="From `mcpbox grants list`.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the audit log.")],
    who: Annotated[str, typer.Option("--as", help="The person who revokes it.")] = "admin",
    json: Json = False,
) -> None:
    """Take a grant back at once: calls of tools that need it end."""

    async def take_back(office: "Office") -> None:
        person = await office.person(who)
        grant = await office.grants.revoke(person, GrantId(grant_id), reason)
        if json:
            echo_json(grant.model_dump(mode="json"))
        else:
            echo(f"The {grant.kind} {grant.value} is revoked.")

    _run(take_back)


def _end(grant: Grant) -> str:
    return "no end" if grant.expires_at is None else f"ends {grant.expires_at:%Y-%m-%d %H:%M}Z"


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
