"""``mcpbox notifications``: where people are told outside the panel."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer
from pydantic import SecretStr

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.notices import Event, TargetDraft, TargetKind

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(no_args_is_help=True, help="Webhooks, chats and mail that tell people.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Who = Annotated[str, typer.Option("--as", help="The admin who chooses.")]
TargetId = Annotated[UUID, typer.Argument(help="From `mcpbox notifications targets`.")]
T = TypeVar("T")


@app.command()
def targets(*, who: Who = "admin", json: Json = False) -> None:
    """List targets, by name."""

    async def show(office: "Office") -> None:
        found = await office.notices.targets(await office.person(who))
        if json:
            echo_json([target.model_dump(mode="json") for target in found])
            return
        for target in found:
            echo(f"{target.id}  {target.kind:<8} {target.name}  {target.shown}")
            if target.problem:
                echo(f"    {target.problem}")
        if not found:
            echo("There are no targets: people are told in the panel alone.")

    _run(show)


@app.command()
def add(
    kind: TargetKind,
    name: str,
    *,
    event: Annotated[
        list[Event] | None, typer.Option(help="Only these; may be repeated. Left out: all.")
    ] = None,
    private: Annotated[
        bool, typer.Option(help="It may be on a private network, and without TLS.")
    ] = False,
    who: Who = "admin",
    json: Json = False,
) -> None:
    """Add a target; its address is asked for, so that it stands in no shell history."""
    address = typer.prompt("Address", hide_input=True)

    async def make(office: "Office") -> None:
        draft = TargetDraft(
            name=name,
            kind=kind,
            address=SecretStr(address),
            events=tuple(event or ()),
            private=private,
        )
        made = await office.notices.add_target(await office.person(who), draft)
        if json:
            echo_json(made.model_dump(mode="json"))
            return
        echo(f"Added {made.name} ({made.shown}); try it with `mcpbox notifications test {made.id}`")
        if made.signing_secret:
            echo(f"Signed with this secret, which is shown only now: {made.signing_secret}")

    _run(make)


@app.command()
def remove(target_id: TargetId, *, who: Who = "admin") -> None:
    """Remove a target; what was not delivered to it yet is forgotten."""

    async def take(office: "Office") -> None:
        await office.notices.remove_target(await office.person(who), target_id)
        echo("Removed.")

    _run(take)


@app.command(name="test")
def send_test(target_id: TargetId, *, who: Who = "admin") -> None:
    """Send a test message, once, and say whether it arrived."""

    async def send(office: "Office") -> None:
        await office.notices.test_target(await office.person(who), target_id)
        echo("It arrived.")

    _run(send)


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
