"""What a visitor can do about a request besides a plain decision."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from nicegui import ui

from mcpbox.domain.decisions import BREAK_GLASS_REASON_MIN_LENGTH, Decision, DecisionDraft
from mcpbox.domain.ids import DecisionId
from mcpbox.domain.requests import RequestDetail
from mcpbox.domain.verdicts import Verdict
from ui.parts import attributes, box, button, callout, icon, text
from ui.problems import ApiProblem
from ui.visit import Visit

_Sending = Callable[[str], Awaitable[object]]


def approvals_of(request: RequestDetail) -> int:
    return sum(vote.verdict is Verdict.APPROVE for vote in _votes(request).values())


def show_more(visit: Visit, request: RequestDetail) -> None:
    """A menu; nothing where there is nothing to choose."""
    if not request.state.decidable or not visit.visitor.may_decide:
        return
    more = button(kind="ghost icon-only", name="chevron-right")
    more.mark("more")
    attributes(more, {"aria-label": "More"})
    with more, ui.menu():
        if visit.visitor.username in _votes(request):
            ui.menu_item("Take back my vote", on_click=lambda: _retract(visit, request))
        ui.menu_item("Ask somebody else…", on_click=lambda: _assign(visit, request))
        if visit.visitor.is_admin:
            ui.menu_item("Force the approval…", on_click=lambda: _force(visit, request))


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
        detail="You decide alone, whatever the policy asks for. It is recorded, shown to "
        "everybody, and another person has to review it afterwards.",
        label="Why it cannot wait",
        confirm="Force it",
        send=send,
        told=f"{request.title} was forced",
        shortest=BREAK_GLASS_REASON_MIN_LENGTH,
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
    danger: bool = False,
) -> None:
    """One text in a dialog, and what is done with it."""
    with visit.client.content, ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": title})
        with box("sheet-head"):
            with box("sheet-mark no" if danger else "sheet-mark ok"):
                icon("shield-alert" if danger else "user")
            with box("grow"):
                text(title, tag="h2")
                text(detail, "muted", "p")
        with box("sheet-body"):
            text(label, "label", "div")
            written = ui.textarea().classes("field").mark("written")
            written.props("outlined dense autogrow autofocus hide-bottom-space")
            attributes(written, {"aria-label": label})
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))
            go = button(confirm, kind="danger" if danger else "primary")
            go.on_click(lambda: dialog.submit((written.value or "").strip())).mark("confirm")
            go.bind_enabled_from(
                written, "value", lambda value: len((value or "").strip()) >= shortest
            )
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
