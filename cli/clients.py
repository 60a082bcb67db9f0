"""``mcpbox clients``: the credentials of MCP clients, straight in the instance's database."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.configuration import load_settings
from cli.instance import Instance
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Invalid
from mcpbox.domain.people import SYSTEM, Client, Scope

if TYPE_CHECKING:
    from mcpbox.usecases.clients import Clients

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the tokens of MCP clients.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Days = Annotated[
    int | None, typer.Option(help="Days for which its token is good; else until it is revoked.")
]
Name = Annotated[str, typer.Argument(help="Small letters, digits, '.', '_' and '-'.")]


@app.command()
def create(
    name: Name,
    *,
    scopes: Annotated[
        str, typer.Option(help="What it may do, separated by commas: author, call.")
    ] = "author,call",
    owner: Annotated[str, typer.Option(help="The user whom it acts for.")] = "admin",
    days: Days = None,
    servers: Annotated[
        str,
        typer.Option(help="The only servers whose tools it calls, separated by commas."),
    ] = "",
    json: Json = False,
) -> None:
    """Make a client and show its token, once."""

    async def run(wanted: list[Scope]) -> str:
        async with _clients() as clients:
            _, token = await clients.create(
                SYSTEM,
                name=name,
                owner=owner,
                scopes=wanted,
                days=days,
                servers=[part.strip() for part in servers.split(",") if part.strip()],
            )
            return token

    with errors_reported():
        wanted = parse_scopes(scopes)
        token = asyncio.run(run(wanted))
        if json:
            echo_json({"name": name, "scopes": wanted, "token": token})
            return
        _show_token(token)


@app.command()
def rotate(
    name: Name,
    *,
    grace: Annotated[
        int, typer.Option(help="Minutes for which the old token stays good as well.")
    ] = 0,
    days: Annotated[
        int | None,
        typer.Option(help="Days for which the new one is good; else it ends as the old one would."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a new token for a client and show it, once; the old one ends."""

    async def run() -> str:
        async with _clients() as clients:
            _, token = await clients.rotate(SYSTEM, name, grace=timedelta(minutes=grace), days=days)
            return token

    with errors_reported():
        token = asyncio.run(run())
        if json:
            echo_json({"name": name, "token": token})
            return
        _show_token(token)


@app.command(name="list")
def show(*, json: Json = False) -> None:
    """List the clients, revoked ones too."""

    async def run() -> list[Client]:
        async with _clients() as clients:
            return await clients.list(SYSTEM)

    with errors_reported():
        found = asyncio.run(run())
        if json:
            echo_json([client.model_dump(mode="json") for client in found])
            return
        now = utc_now()
        for client in found:
            ends = f"until {client.expires_at:%Y-%m-%d %H:%M}" if client.expires_at else ""
            only = f"only {','.join(sorted(client.servers))}" if client.servers else ""
            echo(
                f"{client.name:<24} {client.state_at(now):<8} "
                f"{','.join(sorted(client.scopes)):<12} {client.owner:<12} {ends:<22} "
                f"{only}".rstrip()
            )


@app.command()
def revoke(name: Name, *, json: Json = False) -> None:
    """Make a client's token worthless, at once."""

    async def run() -> Client:
        async with _clients() as clients:
            return await clients.revoke(SYSTEM, name)

    with errors_reported():
        revoked = asyncio.run(run())
        if json:
            echo_json(revoked.model_dump(mode="json"))
            return
        echo(f"The token of {name} is revoked.")


def _show_token(token: str) -> None:
    url = Instance(load_settings()).urls()["gateway"]
    echo("Its token is shown only now:\n")
    echo(f'  claude mcp add --transport http mcpbox {url} --header "Authorization: Bearer {token}"')


def parse_scopes(text: str) -> list[Scope]:
    """In a fixed order, each once. Raises: Invalid: names the unknown scope."""
    wanted = {part.strip() for part in text.split(",") if part.strip()}
    unknown = sorted(wanted - set(Scope))
    if unknown:
        raise Invalid(f"--scopes: {unknown[0]!r} is no scope; there are {', '.join(Scope)}.")
    return [scope for scope in Scope if scope in wanted]


@asynccontextmanager
async def _clients() -> AsyncGenerator["Clients"]:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async with open_office(load_settings()) as office:
        yield office.clients
