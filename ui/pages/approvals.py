"""The approvals: what waits, what it would change, and the decision."""

from nicegui import events, ui

from mcpbox.domain.base import Page
from mcpbox.domain.ids import RequestId
from mcpbox.domain.requests import BATCH_MAX, RequestSummary
from mcpbox.domain.verdicts import Verdict
from ui.frame import Top
from ui.pages.batch import ask_for_batch
from ui.pages.decide import ask_for_decision
from ui.pages.queue import LISTS, QueueList, show_queue
from ui.pages.request import RequestView
from ui.parts import blank, box, button, connect_steps, text
from ui.problems import ApiProblem
from ui.visit import Visit

_KEYS = (
    (("J", "K"), "Next and previous request"),
    (("A",), "Approve"),
    (("C",), "Request changes"),
    (("R",), "Deny"),
    (("?",), "This help"),
)
_VERDICT_KEYS = {"a": Verdict.APPROVE, "r": Verdict.DENY, "c": Verdict.REQUEST_CHANGES}


async def approvals_page(visit: Visit, top: Top) -> None:
    page = _Approvals(visit)
    await page.build(top)


class _Approvals:
    """One visitor's view of the requests."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._list: QueueList = LISTS[0]
        self._pages = 1
        self._rows: list[RequestSummary] = []
        self._total = 0
        self._selected: RequestId | None = None
        self._busy = False
        self._view = RequestView(visit, visit.steady(self._decide), self._go_back)

    async def build(self, top: Top) -> None:
        with top.bar:
            helper = button(kind="ghost icon-only only-wide", name="circle-help")
            helper.on_click(self._help).props('aria-label="Keyboard shortcuts"')
        asked = self._visit.query.get("id", "")
        if asked:
            request_id = RequestId(self._visit.an_id(asked, "request"))
            detail = await self._visit.rest.request(request_id)
            self._list = next(kept for kept in LISTS if detail.state in kept.states)
            self._selected = request_id
        await self._load()
        with box("split") as self._split:
            if asked:
                self._split.classes("picked")
            self._queue = box("queue", "section", aria_label="Requests")
            self._pane = box("detail", "section", aria_label="Request")
        self._show_queue(fresh=frozenset())
        await self._show_detail()
        ui.keyboard(self._on_key, repeating=False)
        self._visit.follow(frozenset({"requests"}), self._refresh)

    # What is shown

    async def _load(self) -> None:
        rows: list[RequestSummary] = []
        answer: Page[RequestSummary] | None = None
        for number in range(1, self._pages + 1):
            answer = await self._visit.rest.requests(
                self._list.states, review_afterwards=self._list.review_afterwards, page=number
            )
            rows += answer.items
        self._rows = rows
        self._total = answer.total if answer else 0
        if self._selected is None and rows:
            self._selected = rows[0].id

    def _show_queue(self, *, fresh: frozenset[RequestId]) -> None:
        self._queue.clear()
        with self._queue:
            show_queue(
                self._visit,
                self._rows,
                total=self._total,
                shown=self._list,
                selected=self._selected,
                fresh=fresh,
                on_pick=self._visit.steady(self._pick),
                on_list=self._visit.steady(self._switch_list),
                on_more=self._visit.steady(self._more),
                on_batch=self._visit.steady(self._approve_batch),
            )

    async def _show_detail(self) -> None:
        if self._selected:
            await self._view.show(self._pane, self._selected)
            return
        self._view.forget()
        self._pane.clear()
        with self._pane:
            if self._list is not LISTS[0]:
                blank("inbox", "Nothing in this list", "Requests move here by themselves.")
                return
            with blank(
                "inbox",
                "Nothing waits for a decision",
                "New requests appear here by themselves, as soon as a client asks. "
                "No client connected yet?",
            ):
                connect_steps()

    async def _refresh(self) -> None:
        before = frozenset(row.id for row in self._rows)
        old, old_total = self._rows, self._total
        await self._load()
        if old != self._rows or old_total != self._total:
            fresh = frozenset(row.id for row in self._rows) - before
            self._show_queue(fresh=fresh)
        await self._show_detail()

    # What the visitor does

    async def _pick(self, request_id: RequestId) -> None:
        self._selected = request_id
        self._split.classes("picked")
        self._show_queue(fresh=frozenset())
        ui.navigate.history.replace(f"/approvals?id={request_id}")
        try:
            await self._show_detail()
        except ApiProblem as problem:
            self._visit.show_problem(problem)

    def _go_back(self) -> None:
        """Only where the list and the request do not fit side by side."""
        self._split.classes(remove="picked")
        ui.navigate.history.replace("/approvals")

    async def _switch_list(self, shown: QueueList) -> None:
        self._list, self._pages, self._selected = shown, 1, None
        await self._again()

    async def _more(self) -> None:
        self._pages += 1
        await self._again()

    async def _again(self) -> None:
        try:
            await self._load()
            self._show_queue(fresh=frozenset())
            await self._show_detail()
        except ApiProblem as problem:
            self._visit.show_problem(problem)

    async def _on_key(self, event: events.KeyEventArguments) -> None:
        modifiers = event.modifiers
        held = modifiers.ctrl or modifiers.meta or modifiers.alt
        if not event.action.keydown or held or self._busy:
            return
        key = str(event.key).lower()
        if key in ("j", "k"):
            await self._walk(1 if key == "j" else -1)
        elif key in _VERDICT_KEYS:
            await self._decide(_VERDICT_KEYS[key], None)
        elif key == "?":
            await self._help()

    async def _walk(self, step: int) -> None:
        ids = [row.id for row in self._rows]
        if not ids:
            return
        here = ids.index(self._selected) if self._selected and self._selected in ids else -step
        there = ids[max(0, min(here + step, len(ids) - 1))]
        if there != self._selected:
            await self._pick(there)

    async def _decide(self, verdict: Verdict, line: int | None) -> None:
        """``line``: of the code, which the visitor wants to say something about."""
        request = self._view.request
        if self._busy or request is None or self._view.why_not:
            return
        if not request.state.decidable:
            return
        place = next((n for n, row in enumerate(self._rows) if row.id == request.id), 0)
        self._busy = True
        try:
            decided = await ask_for_decision(self._visit, request, verdict, line)
        finally:
            self._busy = False
        if not decided or self._visit.client.is_deleted:
            return
        self._selected = request.id
        try:
            await self._load()
            gone = all(row.id != request.id for row in self._rows)
            if gone:
                next_place = min(place, len(self._rows) - 1)
                self._selected = self._rows[next_place].id if self._rows else None
                self._split.classes(remove="picked")
                where = f"?id={self._selected}" if self._selected else ""
                ui.navigate.history.replace(f"/approvals{where}")
            self._show_queue(fresh=frozenset())
            await self._show_detail()
        except ApiProblem as problem:
            self._visit.show_problem(problem)

    async def _approve_batch(self, requests: list[RequestSummary]) -> None:
        if not self._busy:
            self._busy = True
            try:
                await ask_for_batch(self._visit, requests[:BATCH_MAX])
            finally:
                self._busy = False

    async def _help(self) -> None:
        self._busy = True
        with self._visit.client.content, ui.dialog() as dialog, ui.card().classes("sheet"):
            dialog.props('aria-label="Keyboard shortcuts"')
            with box("sheet-head"):
                text("Keyboard shortcuts", tag="h2")
            with box("sheet-body"), box("keys", "dl"):
                for keys, meaning in _KEYS:
                    with box("", "dt"):
                        for key in keys:
                            text(key, tag="kbd")
                    text(meaning, "muted", "dd")
            with box("sheet-foot"):
                button("Close", on_click=dialog.close)
        await dialog
        self._busy = False
        if not dialog.is_deleted:
            dialog.delete()
