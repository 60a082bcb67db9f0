"""``mcpbox recovery``: servers that are being brought back, and the answer to one that waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.ids import ServerId
from mcpbox.domain.recovery import RecoveryAction, ResolveDraft

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(no_args_is_help=True, help="Bring servers back after the sandbox restarted.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Server = Annotated[UUID, typer.Argument(help="From `mcpbox recovery list`.")]
Who = Annotated[str, typer.Option("--as", help="The admin who answers.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
T = TypeVar("T")


@app.command(name="list")
def show_list(*, json: Json = False) -> None:
    """Show the newest recovery of each server; those that wait for an answer first."""
    found = _run(lambda office: office.recoveries.list())
    if json:
        echo_json([recovery.model_dump(mode="json") for recovery in found])
        return
    for recovery in found:
        echo(f"{recovery.server_id}  {recovery.state:<10} {recovery.server_name}")
        if recovery.problem:
            echo(f"    {recovery.problem}")
    if not found:
        echo("No server had to be brought back.")


@app.command()
def retry(
    server_id: Server, *, reason: Reason = "", who: Who = "admin", json: Json = False
) -> None:
    """Try again, from the first pause on."""
    _answer(server_id, RecoveryAction.RETRY, reason, who, as_json=json)


@app.command()
def stop(server_id: Server, *, reason: Reason = "", who: Who = "admin", json: Json = False) -> None:
    """Stop the server: none of its tools is listed or called any more."""
    _answer(server_id, RecoveryAction.STOP, reason, who, as_json=json)


@app.command()
def ignore(
    server_id: Server, *, reason: Reason = "", who: Who = "admin", json: Json = False
) -> None:
    """Leave the server as it is; its tools fail, or heal by themselves."""
    _answer(server_id, RecoveryAction.IGNORE, reason, who, as_json=json)


def _answer(
    server_id: UUID, action: RecoveryAction, reason: str, who: str, *, as_json: bool
) -> None:
    async def answer(office: "Office") -> None:
        person = await office.person(who)
        draft = ResolveDraft(action=action, reason=reason)
        outcome = await office.recoveries.resolve(person, ServerId(server_id), draft)
        if as_json:
            echo_json(outcome.model_dump(mode="json"))
        else:
            echo(f"The recovery is {outcome.state} now.")

    _run(answer)


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
