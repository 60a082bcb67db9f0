"""``mcpbox policy``: read the review policy, change it, and try another one on what was decided."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer
from pydantic import BaseModel, ValidationError

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.base import PageRequest
from mcpbox.domain.dry_runs import DryRun, Effect, Proposal
from mcpbox.domain.errors import Invalid, NotFound
from mcpbox.domain.review_policy import (
    PolicyChange,
    PolicyVersion,
    ReviewPolicy,
    Rule,
    SecuritySettings,
)

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(no_args_is_help=True, help="Who has to agree to what, and what rules decide.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
File = Annotated[
    Path | None,
    typer.Argument(help="A policy as `mcpbox policy show --json` prints it; - is standard input."),
]
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_MAX_BYTES = 2**20


@app.command()
def show(
    *,
    version: Annotated[
        int | None, typer.Option(min=0, help="Another one than is in force.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the policy in force: settings, requirements, overrides and rules."""

    async def read(office: "Office") -> PolicyVersion:
        known = office.review_policies
        return await (known.current() if version is None else known.get(version))

    shown = _run(read)
    if json:
        echo_json(shown.model_dump(mode="json"))
        return
    for line in _lines(shown):
        echo(line)


@app.command(name="set")
def change(
    file: File = None,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the version.")],
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", help="Instead of a file: NAME=VALUE, may be repeated."),
    ] = None,
    expect: Annotated[
        int | None,
        typer.Option("--expect", min=0, help="The version you read; default: that in force."),
    ] = None,
    who: Annotated[str, typer.Option("--as", help="The admin who changes it.")] = "admin",
    json: Json = False,
) -> None:
    """Make the next version of the policy; open requests keep theirs."""

    async def make(office: "Office") -> PolicyVersion:
        person = await office.person(who)
        current = await office.review_policies.current()
        policy = _changed(current.policy, file, setting or [])
        expected = current.version if expect is None else expect
        wanted = _checked(
            PolicyChange, {"policy": policy, "expected_version": expected, "reason": reason}
        )
        return await office.review_policies.change(person, wanted)

    made = _run(make)
    if json:
        echo_json(made.model_dump(mode="json"))
    else:
        echo(f"Version {made.version} is in force now; requests that are open keep theirs.")


@app.command()
def dry_run(
    file: File = None,
    *,
    approve: Annotated[
        str | None, typer.Option("--approve", help="A rule that approves, in CEL.")
    ] = None,
    deny: Annotated[str | None, typer.Option("--deny", help="A rule that denies, in CEL.")] = None,
    json: Json = False,
) -> None:
    """Show which past decisions another policy, or another rule, would have made otherwise."""
    with errors_reported():
        proposal = Proposal(
            policy=_read(file) if file is not None else None,
            auto_approve=_rules("proposed-approve", approve),
            auto_deny=_rules("proposed-deny", deny),
        )
    found = _run(lambda office: office.review_policies.dry_run(proposal))
    if json:
        echo_json(found.model_dump(mode="json"))
        return
    for line in _effects(found):
        echo(line)


@app.command()
def versions(
    *,
    page: Annotated[int, typer.Option(min=1, help="Of 100 versions each.")] = 1,
    json: Json = False,
) -> None:
    """List the versions, newest first: who changed it, when and why."""
    wanted = PageRequest(page=page, page_size=100)
    found = _run(lambda office: office.review_policies.versions(wanted))
    if json:
        echo_json(found.model_dump(mode="json"))
        return
    for one in found.items:
        at = f"{one.changed_at:%Y-%m-%d %H:%M}" if one.changed_at else "-"
        echo(f"{one.version:>4}  {at:<16}  {one.changed_by:<20}  {one.reason}")


def _lines(shown: PolicyVersion) -> Iterator[str]:
    policy = shown.policy
    yield f"version {shown.version}, {shown.changed_by}: {shown.reason}"
    for title, part in (("settings", policy.settings), ("requirements", policy.requirements)):
        yield ""
        yield title
        for name, value in part.model_dump(mode="json").items():
            yield f"  {name:<26} {_shown(value)}"
    yield ""
    yield f"lighter path                 {policy.sticky.path}"
    for override in policy.overrides:
        given = override.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
        changes = ", ".join(f"{name} {_shown(value)}" for name, value in given.items())
        yield f"override {override.name}: {changes}"
    for word, rules in (("deny", policy.auto_deny), ("approve", policy.auto_approve)):
        for rule in rules:
            yield f"{word} by {rule.name}: {rule.expression}"


def _effects(found: DryRun) -> Iterator[str]:
    for would in found.changes:
        yield (
            f"{would.request_id}  {would.effect:<16} {would.verdict:<8} "
            f"{would.rule or '-':<20} {would.title}  {would.note}".rstrip()
        )
    flips = sum(count for effect, count in found.counts.items() if effect.flips)
    automated = found.counts.get(Effect.AUTOMATED, 0)
    same = found.judged - sum(found.counts.values())
    yield (
        f"{found.judged} past decisions: {flips} would flip, "
        f"{automated} would have been automatic, {same} stay as they are."
    )
    if found.unjudged:
        yield f"{found.unjudged} more are from before the facts of a request were kept."


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value))) or "none"
    return "none" if value is None else str(value)


def _changed(current: ReviewPolicy, file: Path | None, given: list[str]) -> ReviewPolicy:
    """Raises: Invalid; NotFound."""
    if (file is None) == (not given):
        raise Invalid("Give either a file with a policy, or --setting NAME=VALUE.")
    if file is not None:
        return _read(file)
    settings = current.settings.model_dump()
    for pair in given:
        name, separator, value = pair.partition("=")
        if not separator or name not in settings:
            known = ", ".join(settings)
            raise Invalid(f"--setting {pair!r}: write NAME=VALUE; the names are {known}.")
        many = isinstance(settings[name], tuple)
        settings[name] = tuple(filter(None, value.split(","))) if many else value
    return current.model_copy(update={"settings": _checked(SecuritySettings, settings)})


def _read(file: Path) -> ReviewPolicy:
    """Raises: Invalid; NotFound."""
    try:
        with sys.stdin if str(file) == "-" else file.open() as opened:
            text = opened.read(_MAX_BYTES)
    except FileNotFoundError:
        raise NotFound("file", file) from None
    except (OSError, UnicodeDecodeError):
        raise Invalid(f"{file} cannot be read as text.") from None
    try:
        return PolicyVersion.model_validate_json(text).policy
    except ValidationError:
        return _checked(ReviewPolicy, text)


def _rules(name: str, expression: str | None) -> tuple[Rule, ...]:
    """Raises: Invalid."""
    if expression is None:
        return ()
    return (_checked(Rule, {"name": name, "expression": expression, "reason": "Dry run."}),)


def _checked(model: type[M], value: object) -> M:
    """Raises: Invalid: which part of it is wrong."""
    try:
        if isinstance(value, str):
            return model.model_validate_json(value)
        return model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise Invalid(
            "; ".join(f"{'.'.join(map(str, p['loc'])) or 'it'}: {p['msg']}" for p in problems[:5])
        ) from error


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
