"""``mcpbox users``: the accounts of people, and their passwords when they are lost."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from pydantic import SecretStr

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.errors import Invalid
from mcpbox.domain.people import NewPassword, Role, User
from mcpbox.domain.texts import can_be_kept

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(no_args_is_help=True, help="Make, list and change the accounts of people.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Who = Annotated[str, typer.Option("--as", help="The admin who does it.")]
Name = Annotated[str, typer.Argument(help="The user name.")]
RoleNames = Annotated[str, typer.Option("--roles", help=f"Of {', '.join(Role)}; with commas.")]
FromStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin",
        help="Read the password from standard input, instead of making one.",
    ),
]
T = TypeVar("T")


@app.command(name="list")
def show(*, who: Who = "admin", json: Json = False) -> None:
    """List the accounts, inactive ones too."""

    async def read(office: "Office") -> list[User]:
        return await office.users.list(await office.person(who))

    found = _run(read)
    if json:
        echo_json([user.model_dump(mode="json") for user in found])
        return
    for user in found:
        echo(_line(user))


@app.command()
def create(
    name: Name,
    *,
    roles: RoleNames = "viewer",
    password_stdin: FromStdin = False,
    who: Who = "admin",
    json: Json = False,
) -> None:
    """Make an account; its password is shown once, or read from standard input."""

    async def make(office: "Office") -> NewPassword:
        by = await office.person(who)
        return await office.users.create(by, name, parse_roles(roles), _given(password_stdin))

    _echo_new(_run(make), json=json)


@app.command(name="roles")
def set_roles(name: Name, roles: str, *, who: Who = "admin", json: Json = False) -> None:
    """Give a person these roles, separated by commas, in place of those before."""

    async def change(office: "Office") -> User:
        return await office.users.set_roles(await office.person(who), name, parse_roles(roles))

    _echo(_run(change), json=json)


@app.command()
def deactivate(name: Name, *, who: Who = "admin", json: Json = False) -> None:
    """End a person's sessions, and let them and their clients do nothing any more."""

    async def change(office: "Office") -> User:
        return await office.users.deactivate(await office.person(who), name)

    _echo(_run(change), json=json)


@app.command()
def activate(name: Name, *, who: Who = "admin", json: Json = False) -> None:
    """Let a person in again, with the roles as they were."""

    async def change(office: "Office") -> User:
        return await office.users.activate(await office.person(who), name)

    _echo(_run(change), json=json)


@app.command()
def reset_password(
    name: Name, *, password_stdin: FromStdin = False, who: Who = "admin", json: Json = False
) -> None:
    """Give a person a new password, and end their sessions."""

    async def change(office: "Office") -> NewPassword:
        by = await office.person(who)
        return await office.users.reset_password(by, name, _given(password_stdin))

    _echo_new(_run(change), json=json)


def parse_roles(text: str) -> list[Role]:
    """In a fixed order, each once. Raises: Invalid: names the unknown role."""
    wanted = {part.strip() for part in text.split(",") if part.strip()}
    unknown = sorted(wanted - set(Role))
    if unknown:
        raise Invalid(f"{unknown[0]!r} is no role; there are {', '.join(Role)}.")
    return [role for role in Role if role in wanted]


def _given(from_stdin: bool) -> SecretStr | None:
    """Raises: Invalid: cannot be kept."""
    if not from_stdin:
        return None
    password = sys.stdin.readline().rstrip("\r\n")
    if not can_be_kept(password):
        raise Invalid("The password holds a NUL character; choose another one.")
    return SecretStr(password)


def _line(user: User) -> str:
    state = "active" if user.active else "inactive"
    return f"{user.username:<24} {state:<9} {', '.join(sorted(user.roles))}"


def _echo(user: User, *, json: bool) -> None:
    if json:
        echo_json(user.model_dump(mode="json"))
    else:
        echo(_line(user))


def _echo_new(made: NewPassword, *, json: bool) -> None:
    if json:
        echo_json(made.model_dump(mode="json"))
        return
    echo(_line(made.user))
    if made.password is not None:
        echo(f"Its password is shown only now: {made.password}")


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
