"""``mcpbox secrets``: what a server's tools may be given, and its value from standard input."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer
from pydantic import SecretStr

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.errors import Invalid
from mcpbox.domain.ids import ServerId
from mcpbox.domain.secrets import VALUE_MAX_LENGTH, Secret

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(no_args_is_help=True, help="Set, rotate and delete the secrets of servers.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
ServerArgument = Annotated[UUID, typer.Argument(help="From `mcpbox servers list`.")]
Name = Annotated[str, typer.Argument(help="From `mcpbox secrets list`.")]
As = Annotated[str, typer.Option("--as", help="The operator or admin who does it.")]
T = TypeVar("T")


@app.command(name="list")
def show(server_id: ServerArgument, *, json: Json = False) -> None:
    """List a server's secrets: where each may be sent, and whether it is set."""
    found = _run(lambda office: office.secrets.list(ServerId(server_id)))
    if json:
        echo_json([secret.model_dump(mode="json") for secret in found])
        return
    for secret in found:
        echo(_line(secret))
    if not found:
        echo("It has none: a client makes the place with mcpbox_create_server_secret.")


@app.command(name="set")
def set_value(
    server_id: ServerArgument, name: Name, *, who: As = "admin", json: Json = False
) -> None:
    """Read the value from standard input, and keep it sealed; the next call uses it."""

    async def keep(office: "Office") -> Secret:
        person = await office.person(who)
        return await office.secrets.set_value(person, ServerId(server_id), name, _given())

    kept = _run(keep)
    if json:
        echo_json(kept.model_dump(mode="json"))
    else:
        echo(_line(kept))


app.command(name="rotate", help="As set: put a new value in place of the old one.")(set_value)


@app.command()
def delete(server_id: ServerArgument, name: Name, *, who: As = "admin") -> None:
    """Value, place and approval are gone at once; tools that need it stop."""

    async def drop(office: "Office") -> None:
        await office.secrets.delete(await office.person(who), ServerId(server_id), name)

    _run(drop)
    echo(f"{name} is deleted.")


def _given() -> SecretStr:
    """Raises: Invalid: it is no text."""
    if sys.stdin.isatty():
        value = typer.prompt("Value", hide_input=True)
    else:
        try:
            value = sys.stdin.read(VALUE_MAX_LENGTH + 2).removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise Invalid("The value is no text in UTF-8.") from None
    return SecretStr(value)


def _line(secret: Secret) -> str:
    state = "set" if secret.is_set else "has no value"
    granted = "approved" if secret.is_granted else "not approved"
    return f"{secret.name:<32} {state:<13} {granted:<13} {', '.join(secret.hosts)}"


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
