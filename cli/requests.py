"""``mcpbox requests``: see what waits, read it, and decide, without a browser."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID, uuid4

import typer
from pydantic import BaseModel, ValidationError

from cli.configuration import load_settings
from cli.output import echo, echo_json, errors_reported
from cli.request_text import change_of, lines_of
from mcpbox.domain.base import PageRequest
from mcpbox.domain.comments import CommentDraft, LineComment
from mcpbox.domain.decisions import GRANTED_DAYS_MAX, Channel, DecisionDraft
from mcpbox.domain.errors import Invalid, NotFound
from mcpbox.domain.ids import DecisionId, Digest, RequestId
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.requests import Outcome, State
from mcpbox.domain.verdicts import Verdict

if TYPE_CHECKING:
    from cli.office import Office

app = typer.Typer(no_args_is_help=True, help="See what waits for a decision, and decide.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
RequestArgument = Annotated[UUID, typer.Argument(help="From `mcpbox requests list`.")]
SeenDigest = Annotated[
    str, typer.Option("--digest", help="The digest you read; its first 12 digits are enough.")
]
As = Annotated[str, typer.Option("--as", help="The user who decides.")]
Reason = Annotated[str, typer.Option("--reason", help="The author reads it.")]
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_SHORTEST_DIGEST = 12


@app.command(name="list")
def show_list(
    *,
    state: Annotated[
        State | None, typer.Option(help="Only those in this state.")
    ] = State.AWAITING_DECISION,
    every: Annotated[bool, typer.Option("--all", help="In whatever state.")] = False,
    json: Json = False,
) -> None:
    """List requests, newest first."""
    states = [] if every or state is None else [state]
    page = _run(lambda office: office.requests.list(states, PageRequest(page_size=100)))
    if json:
        echo_json(page.model_dump(mode="json"))
        return
    for request in page.items:
        name = f"{request.title} {change_of(request)}"
        risk = request.risk or "-"
        echo(f"{request.id}  {request.state:<18} {risk:<9} {name}  {request.requester}")
    if not page.items:
        echo("Nothing waits." if states else "There are no requests.")


@app.command()
def show(request_id: RequestArgument, *, json: Json = False) -> None:
    """Show one request: the evidence, the change of the code, and its digest."""
    request = _run(lambda office: office.requests.get(RequestId(request_id)))
    if json:
        echo_json(request.model_dump(mode="json"))
        return
    for line in lines_of(request):
        echo(line)


@app.command()
def approve(
    request_id: RequestArgument,
    *,
    digest: SeenDigest,
    reason: Reason = "",
    hours: Annotated[
        float | None, typer.Option(min=0.01, max=24 * 366, help="Then people are asked again.")
    ] = None,
    calls: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Then people are asked again.")
    ] = None,
    max_error_rate: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="More withdraws it: 0.2 is every fifth.")
    ] = None,
    grant_days: Annotated[
        int | None,
        typer.Option(min=1, max=GRANTED_DAYS_MAX, help="What it grants ends after so many days."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A need that you refuse; may be repeated.")
    ] = None,
    break_glass: Annotated[
        bool,
        typer.Option(
            "--break-glass", help="Force it, as an admin alone; somebody reviews it afterwards."
        ),
    ] = False,
    who: As = "admin",
    json: Json = False,
) -> None:
    """Approve exactly the digest that you read, for good or on probation."""
    limits = {"hours": hours, "calls": calls, "max_error_rate": max_error_rate}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    _decide(
        request_id,
        Verdict.APPROVE,
        digest,
        reason,
        who,
        as_json=json,
        refused=tuple(without or ()),
        break_glass=break_glass,
        probation=ProbationTerms.model_validate(given) if given else None,
        granted_days=grant_days,
    )


@app.command()
def deny(
    request_id: RequestArgument,
    *,
    digest: SeenDigest,
    reason: Reason,
    who: As = "admin",
    json: Json = False,
) -> None:
    """Deny it for good; the author is told the reason."""
    _decide(request_id, Verdict.DENY, digest, reason, who, as_json=json)


@app.command()
def request_changes(
    request_id: RequestArgument,
    *,
    digest: SeenDigest,
    reason: Reason,
    at: Annotated[
        list[str] | None,
        typer.Option(help="A remark at a line, as LINE:TEXT; may be repeated."),
    ] = None,
    who: As = "admin",
    json: Json = False,
) -> None:
    """Keep it open, and tell the author what to change."""
    with errors_reported():
        comments = tuple(_line_comment(remark) for remark in at or ())
    _decide(
        request_id, Verdict.REQUEST_CHANGES, digest, reason, who, as_json=json, comments=comments
    )


@app.command()
def retract(request_id: RequestArgument, *, who: As = "admin", json: Json = False) -> None:
    """Take your own vote back, as long as nothing is decided."""

    async def retract(office: "Office") -> None:
        person = await office.person(who)
        outcome = await office.requests.retract(person, Channel.CLI, RequestId(request_id))
        _tell(outcome, as_json=json)

    _run(retract)


@app.command()
def comment(
    request_id: RequestArgument,
    remark: Annotated[str, typer.Argument(metavar="TEXT")],
    *,
    line: Annotated[int | None, typer.Option(help="The line of the code it is about.")] = None,
    who: As = "admin",
) -> None:
    """Say something about it without deciding; its author reads it."""
    with errors_reported():
        draft = _checked(CommentDraft, text=remark, line=line)

    async def comment(office: "Office") -> None:
        await office.requests.comment(await office.person(who), RequestId(request_id), draft)

    _run(comment)
    echo("The comment is on record.")


@app.command()
def assign(
    request_id: RequestArgument,
    to: Annotated[str, typer.Argument(metavar="USER")],
    *,
    who: As = "admin",
) -> None:
    """Ask a person to decide it; others still may."""

    async def assign(office: "Office") -> None:
        await office.reviewing.assign(await office.person(who), RequestId(request_id), to)

    _run(assign)
    echo(f"{to} is asked to decide it.")


@app.command()
def withdraw(
    request_id: RequestArgument, *, reason: Reason = "", who: As = "admin", json: Json = False
) -> None:
    """End a request that nobody has decided; for admins."""

    async def withdraw(office: "Office") -> None:
        person = await office.person(who)
        outcome = await office.requests.withdraw(person, RequestId(request_id), reason)
        _tell(outcome, as_json=json)

    _run(withdraw)


@app.command()
def reviewed(
    request_id: RequestArgument, *, note: Annotated[str, typer.Option()] = "", who: As = "admin"
) -> None:
    """Say that you looked at an approval that somebody else forced."""

    async def review(office: "Office") -> None:
        person = await office.person(who)
        await office.reviewing.review_afterwards(person, RequestId(request_id), note)

    _run(review)
    echo("It is reviewed.")


@app.command()
def delegate(
    deputy: Annotated[str | None, typer.Argument(help="Who decides for you meanwhile.")] = None,
    *,
    until: Annotated[datetime | None, typer.Option(help="When you are back, in UTC.")] = None,
    end: Annotated[bool, typer.Option("--end", help="You are back already.")] = False,
    who: As = "admin",
) -> None:
    """Name your deputy while you are away, or show who stands in for whom."""

    async def delegate(office: "Office") -> None:
        person = await office.person(who)
        if end:
            await office.reviewing.end_delegation(person)
        elif deputy and until:
            await office.reviewing.delegate(person, deputy, until.replace(tzinfo=UTC))
        elif deputy:
            raise Invalid("--until is missing: say when you are back.")
        for one in await office.reviewing.delegations(person):
            echo(f"{one.deputy} stands in for {one.delegator} until {one.until:%Y-%m-%d %H:%M} UTC")

    _run(delegate)


def _decide(
    request_id: UUID,
    verdict: Verdict,
    digest: str,
    reason: str,
    who: str,
    *,
    as_json: bool,
    **more: Any,
) -> None:
    async def decide(office: "Office") -> None:
        person = await office.person(who)
        draft = DecisionDraft(
            id=DecisionId(uuid4()),
            verdict=verdict,
            reason=reason,
            seen_digest=await _seen(office, RequestId(request_id), digest),
            **more,
        )
        outcome = await office.requests.decide(person, Channel.CLI, RequestId(request_id), draft)
        _tell(outcome, as_json=as_json)

    _run(decide)


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        echo_json(outcome.model_dump(mode="json"))
    else:
        echo(f"It is {outcome.state} now. {outcome.state_reason}".rstrip())


def _line_comment(remark: str) -> LineComment:
    """Raises: Invalid: it is not ``LINE:TEXT``."""
    line, _, words = remark.partition(":")
    if not line.isdecimal():
        raise Invalid("--at: write the line, a colon and the remark, as in '12:Name the unit.'")
    return _checked(LineComment, line=int(line), text=words.strip())


def _checked(model: type[M], **fields: object) -> M:
    """Raises: Invalid: which field, and what is wrong with it."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        raise Invalid(f"{problem['loc'][0]}: {problem['msg']}") from error


async def _seen(office: "Office", request_id: RequestId, digest: str) -> Digest:
    """The whole of it; what begins no digest here is left to the rule, which refuses it.

    Raises: Invalid: too short to mean one.
    """
    digits = digest.removeprefix("sha256:").lower()
    if len(digits) < _SHORTEST_DIGEST:
        raise Invalid(f"--digest: give at least {_SHORTEST_DIGEST} digits of it.")
    with suppress(NotFound):
        request = await office.requests.get(request_id)
        if request.digest.removeprefix("sha256:").startswith(digits):
            return request.digest
    return Digest(digits)


def _run(doing: "Callable[[Office], Awaitable[T]]") -> T:
    # Only here, for every other command loads this module too and should start fast.
    from cli.office import open_office

    async def run() -> T:
        async with open_office(load_settings()) as office:
            return await doing(office)

    with errors_reported():
        return asyncio.run(run())
