"""The ``mcpbox`` command. What a command needs is loaded when it runs, so each starts fast."""

import importlib.metadata
from typing import Annotated

import typer

from cli import (
    audit,
    clients,
    grants,
    notifications,
    policy,
    receipts,
    recovery,
    requests,
    secrets,
    servers,
    sources,
    temporal_env,
    tools,
    users,
)
from cli.output import errors_reported

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="LLMs write MCP tools here, and people decide what may run.",
)


app.add_typer(audit.app, name="audit")
app.add_typer(clients.app, name="clients")
app.add_typer(users.app, name="users")
app.add_typer(requests.app, name="requests")
app.add_typer(policy.app, name="policy")
app.add_typer(receipts.app, name="receipts")
app.add_typer(servers.app, name="servers")
app.add_typer(sources.app, name="sources")
app.add_typer(secrets.app, name="secrets")
app.add_typer(grants.app, name="grants")
app.add_typer(tools.app, name="tools")
app.add_typer(notifications.app, name="notifications")
app.add_typer(recovery.app, name="recovery")
app.add_typer(temporal_env.app, name="temporal")


def main() -> None:
    app()


@app.command()
def up(
    *,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave it running in the background.")
    ] = False,
    announce_to: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start everything on this machine, and keep it running."""
    from cli import up as command
    from cli.configuration import load_settings

    with errors_reported():
        settings = load_settings()
        if detach:
            raise typer.Exit(command.up_detached(settings))
        if announce_to is not None:
            raise typer.Exit(command.up_for_parent(settings, announce_to))
        command.up_in_foreground(settings)


@app.command()
def down(*, json: Json = False) -> None:
    """Stop what `up` started."""
    from cli.configuration import load_settings
    from cli.status import stop

    with errors_reported():
        raise typer.Exit(stop(load_settings(), as_json=json))


@app.command()
def status(*, json: Json = False) -> None:
    """Show what runs, and where."""
    from cli.configuration import load_settings
    from cli.status import show_status

    with errors_reported():
        raise typer.Exit(show_status(load_settings(), as_json=json))


@app.command()
def doctor(*, json: Json = False) -> None:
    """Check what this machine offers, and say what to do where it falls short."""
    from cli.configuration import load_settings
    from cli.doctor import show_checks

    with errors_reported():
        raise typer.Exit(show_checks(load_settings(), as_json=json))


@app.command()
def demo(
    *,
    wait_for_person: Annotated[
        bool, typer.Option("--wait", help="Let a person approve in the panel.")
    ] = False,
    json: Json = False,
) -> None:
    """Play the story against what runs: write a tool, approve it, call it."""
    import asyncio

    from cli.configuration import load_settings
    from cli.demo import play

    with errors_reported():
        asyncio.run(play(load_settings(), as_json=json, wait_for_person=wait_for_person))


@app.command()
def migrate() -> None:
    """Bring the database's schema up to this version."""
    from cli.configuration import load_settings
    from cli.migrate import migrate as run

    with errors_reported():
        run(load_settings())


@app.command()
def worker() -> None:
    """Run the worker alone: workflows and activities."""
    _run_alone("worker")


@app.command()
def gateway() -> None:
    """Run the gateway alone: MCP."""
    _run_alone("gateway")


@app.command()
def sandbox() -> None:
    """Run the sandbox alone: tool code."""
    _run_alone("sandbox")


@app.command()
def admin() -> None:
    """Run the admin process alone: REST and the panel."""
    _run_alone("admin")


def _run_alone(name: str) -> None:
    from cli.configuration import load_settings
    from cli.run import run_process

    with errors_reported():
        if name != "sandbox":  # which has settings of its own
            load_settings()
        run_process(name)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mcpbox {importlib.metadata.version('mcpbox')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options that go before a command."""


if __name__ == "__main__":
    main()
