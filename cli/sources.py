"""``mcpbox sources``: other MCP servers, what they offer, and asking for their tools."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer
from pydantic import ValidationError

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.base import PageRequest
from mcpbox.domain.errors import Invalid
from mcpbox.domain.external_sources import ExternalSource, SourceDetail, SourceNeed
from mcpbox.domain.ids import SourceId
from mcpbox.domain.upstreams import (
    ARGUMENT_MAX_LENGTH,
    ARGUMENTS_MAX,
    Authentication,
    Endpoint,
    HttpEndpoint,
    StdioEndpoint,
)

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(
    no_args_is_help=True,
    help="Other MCP servers whose tools are called through this one: add, look at, import from.",
)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
SourceArgument = Annotated[UUID, typer.Argument(help="From `mcpbox sources list`.")]
As = Annotated[str, typer.Option("--as", help="The operator or admin who does it.")]
T = TypeVar("T")


@app.command(name="list")
def show_list(
    *,
    page: Annotated[int, typer.Option(min=1, help="Of 100 sources each.")] = 1,
    json: Json = False,
) -> None:
    """List external sources, by name, each as it was when last looked at."""
    wanted = PageRequest(page=page, page_size=100)
    found = _run(lambda office: office.sources.list(wanted))
    if json:
        echo_json(found.model_dump(mode="json"))
        return
    for source in found.items:
        echo(_line(source))
    if found.total == 0:
        echo("There are no external sources.")
    elif found.pages > 1:
        echo(f"Page {found.page} of {found.pages}; see --page.")


@app.command()
def show(source_id: SourceArgument, *, json: Json = False) -> None:
    """Show a source: what it needs, and where each tool that it offers stands."""

    async def look(office: "Office") -> tuple[SourceDetail, list[SourceNeed]]:
        source = await office.sources.get(SourceId(source_id))
        return source, await office.source_needs.of(source.id)

    source, needs = _run(look)
    _show(source, as_json=json)
    if not json:
        _show_needs(needs)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Of the server that is made for it.")],
    *,
    url: Annotated[str, typer.Option(help="Of a server that speaks Streamable HTTP.")] = "",
    auth: Annotated[
        Authentication, typer.Option(help="What proves to it who asks.")
    ] = Authentication.NONE,
    secret: Annotated[str, typer.Option(help="Name of the secret that proves it.")] = "",
    header: Annotated[str, typer.Option(help="That it is sent in, with --auth header.")] = "",
    module: Annotated[
        str, typer.Option(help="In place of --url: run in the sandbox as python -m runs it.")
    ] = "",
    argument: Annotated[
        list[str] | None, typer.Option("--arg", help="For the module; may be repeated.")
    ] = None,
    description: Annotated[str, typer.Option(help="What its tools are for.")] = "",
    who: As = "admin",
    json: Json = False,
) -> None:
    """Add a source; it is reached once people have granted what it needs."""

    async def make(office: "Office") -> SourceDetail:
        endpoint = _endpoint(url, auth, secret, header, module, argument or [])
        person = await office.person(who)
        return await office.sources.add(
            person, name=name, description=description, endpoint=endpoint
        )

    _show(_run(make), as_json=json)


@app.command()
def ask(
    source_id: SourceArgument,
    *,
    notes: Annotated[str, typer.Option(help="For the reviewer: what the source is for.")],
    sign_in_host: Annotated[
        list[str] | None,
        typer.Option(help="Where people sign in, if not at its own host; may be repeated."),
    ] = None,
    who: As = "admin",
    json: Json = False,
) -> None:
    """Ask people for the host, the secret or the module that a source needs."""

    async def for_needs(office: "Office") -> list[SourceNeed]:
        person = await office.person(who)
        return await office.source_needs.ask(
            person, SourceId(source_id), notes=notes, sign_in_hosts=sign_in_host or ()
        )

    needs = _run(for_needs)
    if json:
        echo_json([need.model_dump(mode="json") for need in needs])
        return
    _show_needs(needs)


@app.command()
def check(source_id: SourceArgument, *, json: Json = False) -> None:
    """Look at what a source offers now; what is no longer what was approved is withdrawn."""
    _show(_run(lambda office: office.sources.check(SourceId(source_id))), as_json=json)


@app.command(name="import")
def import_tools(
    source_id: SourceArgument,
    names: Annotated[list[str], typer.Argument(help="As `mcpbox sources show` names them.")],
    *,
    notes: Annotated[str, typer.Option(help="For the reviewer.")] = "",
    who: As = "admin",
    json: Json = False,
) -> None:
    """Ask that clients may call tools of a source; a request for each."""

    async def ask(office: "Office") -> None:
        person = await office.person(who)
        found = await office.sources.import_tools(person, SourceId(source_id), names, notes=notes)
        if json:
            echo_json([one.model_dump(mode="json") for one in found])
            return
        for one in found:
            told = f"asked for: request {one.request_id}" if one.request_id else one.problem
            echo(f"{one.name}: {told}")

    _run(ask)


@app.command()
def allow_private(
    source_id: SourceArgument,
    *,
    allowed: Annotated[bool, typer.Option("--yes/--no", help="Whether it may be.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept in the audit log.")] = "",
    who: Annotated[str, typer.Option("--as", help="The admin who consents.")] = "admin",
    json: Json = False,
) -> None:
    """Consent to a source on a private network, or without TLS. For admins."""

    async def consent(office: "Office") -> SourceDetail:
        person = await office.person(who)
        return await office.sources.allow_private(
            person, SourceId(source_id), allowed=allowed, reason=reason
        )

    _show(_run(consent), as_json=json)


def _endpoint(
    url: str, auth: Authentication, secret: str, header: str, module: str, args: list[str]
) -> Endpoint:
    """Raises: Invalid."""
    if bool(url) == bool(module):
        raise Invalid("Give either --url or --module.")
    if module:
        try:
            return StdioEndpoint(module=module, args=tuple(args))
        except ValidationError as error:
            raise Invalid(
                f"Give at most {ARGUMENTS_MAX} arguments, each of {ARGUMENT_MAX_LENGTH} characters."
            ) from error
    return HttpEndpoint(
        url=url, authentication=auth, secret_name=secret or None, header_name=header or None
    )


def _show(source: SourceDetail, *, as_json: bool) -> None:
    if as_json:
        echo_json(source.model_dump(mode="json"))
        return
    for line in _lines(source):
        echo(line)


def _show_needs(needs: Sequence[SourceNeed]) -> None:
    for need in needs:
        echo(f"  {need.state:<9} {need.kind} {need.value}  {need.request_id or ''}".rstrip())


def _lines(source: SourceDetail) -> Iterator[str]:
    yield _line(source)
    if source.blocked or source.problem:
        yield source.blocked or source.problem
    for tool in source.tools:
        about = tool.problem or tool.description.partition("\n")[0][:80]
        yield f"  {tool.offer:<9} {tool.name}  {about}".rstrip()


def _line(source: ExternalSource) -> str:
    offered = f"{source.released_count} of {source.offered_count} released"
    endpoint = source.endpoint.label
    return f"{source.id}  {source.state:<11} {offered:<18} {source.server_name}  {endpoint}"


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
