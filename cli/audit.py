"""``mcpbox audit``: whether the log is whole, an export of it, and a signed anchor."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cli.configuration import load_settings
from cli.instance import Instance
from cli.output import Exit, echo, echo_error, echo_json, errors_reported
from mcpbox.domain.audit import Protection
from mcpbox.domain.audit_chain import ChainCheck, ChainReport, from_line, to_line
from mcpbox.domain.errors import Invalid, NotFound
from mcpbox.domain.people import SYSTEM

if TYPE_CHECKING:
    from cli.office import Office
    from mcpbox.domain.anchors import Anchor

app = typer.Typer(
    no_args_is_help=True, help="Verify, export and anchor the log of what people decided."
)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        help="Public key of the instance that signed, as `mcpbox receipts public-key` prints it; "
        "may be repeated. Left out: this instance's.",
    ),
]
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
_LINE_MAX_CHARS = 2**20
T = TypeVar("T")

PROTECTIONS = {
    Protection.RIGHTS: "The application's role may append to it and not change it.",
    Protection.TRIGGER: "The application's role owns its table, so only a trigger refuses changes.",
    Protection.NOTHING: "Nothing keeps the application's role from changing it.",
}


@app.command()
def verify(
    *,
    anchors: Annotated[
        Path | None,
        typer.Option(help="A directory of exported anchors, which has to hold besides."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="An export to verify in place of the database; - is stdin."),
    ] = None,
    key: Keys = None,
    json: Json = False,
) -> None:
    """Find any change of the log and name the first bad event; then end with code 5.

    A cut tail and a log that was written anew show against anchors only.
    """
    with errors_reported():
        kept = _anchors_in(anchors, key) if anchors else []
        if file is not None:
            report = _verified_file(file, kept)
            _tell(report, json=json)
            return
        found = _run(lambda office: office.audit.verify(kept))
        if json:
            echo_json(found.model_dump(mode="json"))
        else:
            _show(found.report)
            echo(PROTECTIONS[found.protection])
            if found.unsigned_anchors:
                echo(f"{found.unsigned_anchors} stored anchors are signed by nobody we know.")
        if not found.report.whole:
            raise typer.Exit(Exit.CONFLICT)


@app.command()
def export(
    *,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=_FORMATS, help="UTC without a zone.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=_FORMATS, help="Itself left out.")
    ] = None,
) -> None:
    """Write the log to stdout as JSON Lines, which `verify --file` checks on any machine."""

    async def write(office: "Office") -> None:
        async for event in office.audit.stream(_in_utc(since), _in_utc(until)):
            sys.stdout.write(to_line(event) + "\n")
        sys.stdout.flush()

    with errors_reported():
        _run(write)


@app.command()
def anchor(*, json: Json = False) -> None:
    """Sign where the log stands now, and export that as every day's anchor is."""

    async def make(office: "Office") -> "tuple[Anchor, Path]":
        made, envelope = await office.audit.anchor(SYSTEM)
        return made, await office.anchor_export.export(made, envelope)

    with errors_reported():
        made, path = _run(make)
        if json:
            echo_json({"anchor": made.model_dump(mode="json"), "file": str(path)})
            return
        echo(f"Event {made.sequence} is anchored: {path}")
        echo("Copy it to where who has this machine cannot change it.")


def _anchors_in(directory: Path, keys: Sequence[str] | None) -> "list[Anchor]":
    """Raises: NotFound; Refused; Invalid."""
    # Only here, for every other command loads this module too and should start fast.
    from mcpbox.anchors import AnchorSigner, anchors_in
    from mcpbox.dsse import public_key_of

    if keys:
        return anchors_in(directory, [public_key_of(key) for key in keys])
    own = AnchorSigner(Instance(load_settings()).encryption_key()).public
    return anchors_in(directory, [own])


def _verified_file(file: Path, kept: "Sequence[Anchor]") -> ChainReport:
    """Raises: NotFound; Invalid: a line that is no event."""
    check = ChainCheck(((one.sequence, one.hash) for one in kept), whole_log=False)
    try:
        with sys.stdin if str(file) == "-" else file.open(encoding="utf-8") as lines:
            number = 0
            while line := lines.readline(_LINE_MAX_CHARS):
                number += 1
                try:
                    event = from_line(line)
                except ValueError:
                    raise Invalid(f"{file}: line {number} is no event of an export.") from None
                if not check.add(event):
                    break
    except FileNotFoundError:
        raise NotFound("file", file) from None
    except (OSError, UnicodeDecodeError):
        raise Invalid(f"{file} cannot be read as text.") from None
    return check.report()


def _tell(report: ChainReport, *, json: bool) -> None:
    if json:
        echo_json(report.model_dump(mode="json"))
    else:
        _show(report)
    if not report.whole:
        raise typer.Exit(Exit.CONFLICT)


def _show(report: ChainReport) -> None:
    if report.broken is not None:
        echo_error(f"The log is broken at event {report.broken.sequence}. {report.broken.problem}")
        return
    if report.first is None:
        echo("The log is empty.")
        return
    echo(f"Whole: {report.events} events, {report.first} to {report.last}.")
    echo(f"head       {report.head}")
    if not report.from_start:
        echo("It begins in the middle of the log; what stood before is not in it.")
    if report.anchors:
        echo(f"anchors    {report.anchors} hold")
    else:
        echo("No anchor was compared: a cut tail, or a log written anew, would not show.")


def _in_utc(given: datetime | None) -> datetime | None:
    if given is None or given.tzinfo is not None:
        return given
    return given.replace(tzinfo=UTC)


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    return asyncio.run(run())
