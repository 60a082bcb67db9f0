"""``mcpbox temporal``: what the command ``temporal`` needs to work with this instance."""

import asyncio
import shlex
from typing import Annotated

import typer

from cli.configuration import load_settings
from cli.instance import Instance
from cli.output import echo, echo_json, errors_reported

app = typer.Typer(no_args_is_help=True, help="Work with Temporal's own command line.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]


@app.callback()
def group() -> None:
    """Keeps the name of the one command."""


@app.command()
def env(
    *,
    who: Annotated[str, typer.Option("--as", help="The operator or admin who reads.")] = "admin",
    json: Json = False,
) -> None:
    """Print variables for `temporal`, among them a token for 12 hours: keep them to yourself.

    eval "$(mcpbox temporal env)"
    """
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def variables() -> dict[str, str]:
        settings = load_settings()
        async with open_office(settings) as office:
            person = await office.person(who)
            tokens = await office.people.open_session(person)
        return {
            "TEMPORAL_ADDRESS": settings.temporal_target,
            "TEMPORAL_NAMESPACE": settings.temporal_namespace,
            "TEMPORAL_CODEC_ENDPOINT": Instance(settings).codec_endpoint,
            "TEMPORAL_CODEC_AUTH": f"Bearer {tokens.access_token}",
        }

    with errors_reported():
        found = asyncio.run(variables())
        if json:
            echo_json(found)
            return
        for name, value in found.items():
            echo(f"export {name}={shlex.quote(value)}")
