"""The list on the left of the approvals."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

from mcpbox.domain.evidence import Risk
from mcpbox.domain.ids import RequestId
from mcpbox.domain.requests import RequestSummary, ReviewAfterwards, State
from ui.parts import attributes, box, button, choice, link, risk_badge, text
from ui.visit import Visit
from ui.words import STATES, change_of, who

_OPEN_HERE = """(event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  emit();
}"""


class QueueList(NamedTuple):
    label: str
    states: tuple[State, ...]
    counted: str
    """What the number above the list says."""
    review_afterwards: ReviewAfterwards | None = None
    """Only approvals that one admin forced."""


LISTS = (
    QueueList("Waiting", (State.AWAITING_DECISION, State.GATHERING), "waiting"),
    QueueList("Returned", (State.CHANGES_REQUESTED,), "with their authors"),
    QueueList("Approved", (State.APPROVED, State.APPLYING, State.APPLIED), "approved"),
    QueueList(
        "Closed",
        (
            State.DENIED,
            State.VETOED,
            State.APPLY_FAILED,
            State.WITHDRAWN,
            State.SUPERSEDED,
            State.EXPIRED,
        ),
        "closed",
    ),
    QueueList("Forced", (), "to review afterwards", ReviewAfterwards.OPEN),
)


def show_queue(
    visit: Visit,
    rows: Sequence[RequestSummary],
    *,
    total: int,
    shown: QueueList,
    selected: RequestId | None,
    fresh: frozenset[RequestId],
    on_pick: Callable[[RequestId], Awaitable[None]],
    on_list: Callable[[QueueList], Awaitable[None]],
    on_more: Callable[[], Awaitable[None]],
    on_batch: Callable[[list[RequestSummary]], Awaitable[None]],
) -> None:
    with box("queue-head"):
        with box("line-row"):
            text(f"{total} {shown.counted}", tag="h2")
            risky = sum(row.risk in (Risk.HIGH, Risk.CRITICAL) for row in rows)
            if risky and shown is LISTS[0]:
                text(f"{risky} of high risk", "faint")
        with box("seg", role="group", aria_label="State of the requests"):
            for one in LISTS:
                choice(one.label, on=one is shown, on_click=partial(on_list, one))
        harmless = [row for row in rows if _is_harmless(row)]
        if len(harmless) > 1 and visit.visitor.may_decide:
            label = f"Approve {len(harmless)} of low risk…"
            button(label, name="check", on_click=partial(on_batch, harmless)).mark("batch")
    if not rows:
        return
    with box("queue-cols", aria_hidden="true"):
        text("Request")
        text("Risk")
        text("Age", "right")
    with box("queue-list", "ul"):
        for row in rows:
            with box("", "li"):
                _row(visit, row, on=row.id == selected, fresh=row.id in fresh, on_pick=on_pick)
        if total > len(rows):
            with box("queue-more", "li"):
                button(f"Show more of {total}", on_click=on_more)


def _row(
    visit: Visit,
    row: RequestSummary,
    *,
    on: bool,
    fresh: bool,
    on_pick: Callable[[RequestId], Awaitable[None]],
) -> None:
    """A link, so that it opens in a new tab too."""
    element = link(f"/approvals?id={row.id}", "queue-row")
    element.on("click", partial(on_pick, row.id), [], js_handler=_OPEN_HERE)
    if on:
        element.classes("on")
        attributes(element, {"aria-current": "true"})
    if fresh:
        element.classes("fresh")
    with element:
        with box("grow"):
            text(row.title, "tool mono ellipsis", title=row.title)
            text(_about(row), "sub ellipsis")
        risk_badge(row.risk)
        visit.stamp(row.created_at, "when")


def _is_harmless(row: RequestSummary) -> bool:
    return row.state is State.AWAITING_DECISION and row.risk is Risk.LOW


def _about(row: RequestSummary) -> str:
    requester = who(row.requester)[1]
    if row.state is not State.AWAITING_DECISION:
        return f"{requester} · {STATES[row.state][0]}"
    first_line = row.notes.strip().split("\n")[0]
    return f"{requester} · {first_line or change_of(row)}"
