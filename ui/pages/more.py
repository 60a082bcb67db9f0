"""What a visitor can do about a request besides a plain decision."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from uuid import uuid4

from nicegui import ui

from mcpbox.domain.decisions import BREAK_GLASS_REASON_MIN_LENGTH, Decision, DecisionDraft
from mcpbox.domain.ids import DecisionId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import RequestDetail
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.review import facts_of, may_vote
from ui.confirm import typed_name
from ui.parts import attributes, box, button, callout, icon, text
from ui.problems import ApiProblem
from ui.visit import Visit

_Sending = Callable[[str], Awaitable[object]]


def approvals_of(request: RequestDetail) -> int:
    return sum(vote.verdict is Verdict.APPROVE for vote in _votes(request).values())


def show_more(visit: Visit, request: RequestDetail) -> None:
    """A menu; nothing where there is nothing to choose."""
    choices = list(_choices(visit, request))
    if not choices:
        return
    more = button(kind="ghost icon-only", name="ellipsis")
    more.mark("more")
    attributes(more, {"aria-label": "More", "title": "More"})
    with more, ui.menu() as menu:
        attributes(menu, {"role": "menu", "aria-label": "More"})
        for label, name, kind, act in choices:
            with box(f"menu-item {kind}", "button", type="button", role="menuitem") as item:
                icon(name)
                text(label)
            item.on("click", partial(_choose, menu, act), [])


_Act = Callable[[], Awaitable[None]]


def _choices(visit: Visit, request: RequestDetail) -> Iterator[tuple[str, str, str, _Act]]:
    """Label, icon, classes and what it does."""
    if not request.state.decidable:
        return
    visitor = visit.visitor
    if visitor.username in _votes(request):
        yield "Take back my vote", "undo-2", "", partial(_retract, visit, request)
    if visitor.is_admin or may_vote(facts_of(request), visitor.principal):
        yield "Ask somebody else…", "user", "", partial(_assign, visit, request)
    if visitor.is_admin:
        withdraw = partial(_withdraw, visit, request)
        yield "Withdraw the request…", "circle-x", "", withdraw
        force = partial(_force, visit, request)
        yield "Force the approval…", "shield-alert", "danger", force


async def _choose(menu: ui.menu, act: _Act) -> None:
    menu.close()
    await act()


def show_forced(visit: Visit, request: RequestDetail) -> None:
    """Loud until another person has looked at it."""
    forced = next((one for one in request.decisions if one.break_glass), None)
    by = forced.reviewer if forced else "An admin"
    with callout(
        "critical",
        "shield-alert",
        f"{by} forced this approval alone.",
        f"“{forced.reason if forced else ''}” Another person has to review it.",
    ):
        if visit.visitor.may_decide and visit.visitor.username != by:
            done = button("I have reviewed it", on_click=lambda: _review(visit, request))
            done.mark("reviewed")


def _votes(request: RequestDetail) -> dict[str, Decision]:
    """``{user name: their newest vote of this round}``."""
    return {
        vote.reviewer: vote
        for vote in request.decisions
        if vote.round == request.round and vote.retracted_at is None
    }


async def _retract(visit: Visit, request: RequestDetail) -> None:
    try:
        await visit.rest.retract(request.id)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        visit.tell(f"Your vote on {request.title} is taken back")


async def _assign(visit: Visit, request: RequestDetail) -> None:
    await _ask(
        visit,
        title="Ask somebody else to decide",
        detail="They are named on the request; others still may decide it.",
        label="User name",
        confirm="Ask",
        send=lambda name: visit.rest.assign(request.id, name),
        told="They are asked",
    )


async def _withdraw(visit: Visit, request: RequestDetail) -> None:
    await _ask(
        visit,
        title=f"Withdraw {request.title}?",
        detail="The request ends undecided; what runs now stays as it is. Its author is told, and "
        "may ask anew.",
        label="Reason",
        confirm="Withdraw",
        send=lambda reason: visit.rest.withdraw(request.id, reason),
        told=f"{request.title} is withdrawn",
        danger=True,
    )


async def _force(visit: Visit, request: RequestDetail) -> None:
    def send(reason: str) -> Awaitable[object]:
        draft = DecisionDraft(
            id=DecisionId(uuid4()),
            verdict=Verdict.APPROVE,
            reason=reason,
            seen_digest=request.digest,
            break_glass=True,
        )
        return visit.rest.decide(request.id, draft)

    await _ask(
        visit,
        title=f"Force the approval of {request.title}?",
        detail="Break-glass: you decide alone, whatever the policy asks for, and it runs at once.",
        warning="Everybody is told, it stays in the audit log for good, and it stands in red on "
        "this request until another person has reviewed it.",
        label="Why it cannot wait",
        confirm="Force the approval",
        send=send,
        told=f"{request.title} was forced",
        shortest=BREAK_GLASS_REASON_MIN_LENGTH,
        typed=request.title,
        danger=True,
    )


async def _review(visit: Visit, request: RequestDetail) -> None:
    await _ask(
        visit,
        title="You have reviewed it?",
        detail="It stays released; stop or disable the tool if it should not be.",
        label="Note",
        confirm="Reviewed",
        send=lambda note: visit.rest.review_afterwards(request.id, note),
        told="The review is on record",
        shortest=0,
    )


async def _ask(
    visit: Visit,
    *,
    title: str,
    detail: str,
    label: str,
    confirm: str,
    send: _Sending,
    told: str,
    shortest: int = 1,
    warning: str = "",
    typed: str = "",
    danger: bool = False,
) -> None:
    """One text in a dialog, and what is done with it.

    ``typed``: what has to be typed besides, so that nobody does it by the way.
    """
    with visit.client.content, ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": title})
        with box("sheet-head"):
            with box("sheet-mark no" if danger else "sheet-mark ok"):
                icon("shield-alert" if danger else "user")
            with box("grow"):
                text(title, tag="h2")
                text(detail, "muted", "p")
        with box("sheet-body"):
            if warning:
                callout("critical", "triangle-alert", "This is loud", warning)
            text(label, "label", "div")
            written = ui.textarea(validation=partial(_complaint, shortest))
            written.classes("field").without_auto_validation().mark("written")
            written.props("outlined dense autogrow autofocus no-error-icon hide-bottom-space")
            attributes(written, {"aria-label": label})
            name = typed_name(typed, "Name to confirm") if typed else None
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))

            def submit() -> None:
                if written.validate():
                    dialog.submit((written.value or "").strip())

            go = button(confirm, kind="danger" if danger else "primary", on_click=submit)
            go.mark("confirm")
            if name is not None:
                go.bind_enabled_from(name, "value", lambda value: (value or "").strip() == typed)
    answer: str | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    if answer is None:
        return
    try:
        await send(answer)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        visit.tell(told)


def _complaint(shortest: int, value: str | None) -> str | None:
    length = len((value or "").strip())
    if length > REASON_MAX_LENGTH:
        return f"At most {REASON_MAX_LENGTH} characters"
    if length >= shortest:
        return None
    return "This is needed" if shortest == 1 else f"Say more: at least {shortest} characters"
