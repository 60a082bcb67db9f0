"""One request in full: what it changes, the evidence, and what became of it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from nicegui import run
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from mcpbox.domain.ids import Digest, RequestId
from mcpbox.domain.requests import RequestDetail, ReviewAfterwards
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.powers import Powers, powers_of
from mcpbox.policies.review import facts_of, in_whose_right, may_vote
from ui.changes import changed_files, code_path, compared_with, hidden_characters, notes_of
from ui.diff import FileDiff
from ui.diff_view import DiffView, Mode
from ui.pages.evidence import show_evidence, show_headline
from ui.pages.facts import show_facts
from ui.pages.history import show_history
from ui.pages.more import approvals_of, show_forced, show_more
from ui.pages.passing import passes_on
from ui.pages.powers import show_powers
from ui.pages.probation import show_probation
from ui.parts import (
    attributes,
    blank,
    box,
    button,
    callout,
    choice,
    icon,
    risk_badge,
    state_badge,
    text,
)
from ui.visit import Visit
from ui.words import (
    STATES,
    VERDICTS,
    change_of,
    plural,
    short_digest,
    until,
    who,
)

_LAYOUTS: tuple[tuple[Mode, str, str], ...] = (
    ("split", "Split", "columns-2"),
    ("unified", "Unified", "rows-2"),
)
_TABS = ("Changes", "Evidence", "History")
_ACTIONS = (
    (Verdict.DENY, "danger-plain", "x", "R"),
    (Verdict.REQUEST_CHANGES, "plain", "undo-2", "C"),
    (Verdict.APPROVE, "primary", "check", "A"),
)
_RELEASED = "What runs now"


class RequestView:
    """The right-hand side of the approvals."""

    def __init__(
        self,
        visit: Visit,
        decide: Callable[[Verdict, int | None], Awaitable[None]],
        go_back: Callable[[], None],
    ) -> None:
        self._visit = visit
        self._decide = decide
        self._go_back = go_back
        self._tab = _TABS[0]
        self._tab_of: RequestId | None = None
        """Whose tab it is: a request that moves to another list keeps it."""
        self._mode: Mode | None = None
        """As the visitor chose; a lock, whose lines are long, is not split by itself."""
        self._against: int | None = None
        """The round that is compared with; ``None``: the released version."""
        self._files: list[FileDiff] = []
        self._powers: Powers | None = None
        self._compared: tuple[RequestId, Digest] | None = None
        self._wanted: RequestId | None = None
        self.request: RequestDetail | None = None

    async def show(self, pane: Element, request_id: RequestId) -> None:
        """Raises: ApiProblem: the request could not be had; what was shown stays."""
        self._wanted = request_id
        request = await self._visit.rest.request(request_id)
        files, powers = self._files, self._powers
        if self.request is None or (request.id, request.digest) != self._compared:
            self._against = None
            files = await run.io_bound(changed_files, request) or []
            powers = await run.io_bound(powers_of, request)
        if self._wanted != request_id or request == self.request:
            return  # the visitor has moved on, or sees it already
        standing = self.request is not None and self.request.id == request.id
        if request.id != self._tab_of:
            self._tab, self._tab_of = _TABS[0], request.id
        self._files, self._powers = files, powers
        self._compared = (request.id, request.digest)
        self.request = request
        if not standing:
            self._lay_down(pane)
        self._head.clear()
        with self._head:
            self._title(request)
        self._count(request)
        self._show_tab()

    def _lay_down(self, pane: Element) -> None:
        """What outlives a change of the request, so that a click on a tab is not lost in one."""
        pane.clear()
        with pane:
            with box("detail-head"):
                self._head = box()
                self._tabs()
            self._body = box("detail-body", role="tabpanel", tabindex="0", aria_label=self._tab)

    def forget(self) -> None:
        self._wanted = self.request = None

    # The head

    def _title(self, request: RequestDetail) -> None:
        back = button("All requests", kind="ghost back", name="arrow-left", on_click=self._go_back)
        back.mark("back")
        with box("detail-title"):
            with box("line-row grow"):
                text(request.title, tag="h2")
                text(change_of(request), "chip mono")
                risk_badge(request.risk)
            with box("actions"):
                if request.state.decidable:
                    self._actions()
                else:
                    state_badge(STATES[request.state])
                show_more(self._visit, request)
        if request.state.decidable:
            self._standing(request)
        self._meta(request)
        if request.review_afterwards is ReviewAfterwards.OPEN:
            show_forced(self._visit, request)

    @property
    def why_not(self) -> str:
        """Why the visitor does not decide what is shown; empty where they may."""
        if self.request is None:
            return "Nothing is shown."
        return may_vote(facts_of(self.request), self._visit.visitor.principal).reason

    def _standing(self, request: RequestDetail) -> None:
        """Whether the visitor decides it at all, and for whom."""
        if self.why_not:
            text(self.why_not, "why-not", "p")
            return
        right = in_whose_right(facts_of(request), self._visit.visitor.principal)
        if right is not None and right != self._visit.visitor.username:
            text(f"You decide this for {right}, who is away.", "why-not", "p")

    def _meta(self, request: RequestDetail) -> None:
        kind, name = who(request.requester)
        with box("meta"):
            with box("", "span", title=request.requester):
                icon(kind, "i-14")
                text(name)
            with box("", "span"):
                icon("clock", "i-14")
                self._visit.stamp(request.created_at, relative=True)
            with box("", "span", title=f"Digest {request.digest}"):
                icon("file-code-2", "i-14")
                text(short_digest(request.digest), "mono small")
            if request.state.decidable:
                with box("", "span"):
                    icon("history", "i-14")
                    text(f"expires {until(request.expires_at, datetime.now(UTC))}")
            if request.round > 1:
                with box("", "span"):
                    icon("undo-2", "i-14")
                    text(f"round {request.round}")
            if request.assignee and request.state.decidable:
                with box("", "span"):
                    icon("user", "i-14")
                    text(f"asked of {request.assignee}")
            if request.quorum > 1:
                given = approvals_of(request)
                with box("", "span"):
                    icon("user", "i-14")
                    text(f"{given} of {request.quorum} approvals")

    def _actions(self) -> None:
        for verdict, kind, name, key in _ACTIONS:
            label = VERDICTS[verdict]
            element = button(
                label, kind=kind, name=name, key=key, on_click=partial(self._decide, verdict, None)
            )
            element.mark(verdict)
            if self.why_not:
                element.disable()
                attributes(element, {"title": self.why_not})

    def _tabs(self) -> None:
        with box("tabs", role="tablist", aria_label="Parts of the request"):
            self._tab_elements = {label: self._tab_button(label) for label in _TABS}

    def _tab_button(self, label: str) -> tuple[Element, TextElement]:
        with box("tab", "button", type="button", role="tab") as tab:
            attributes(tab, {"aria-selected": str(label == self._tab).lower()})
            text(label)
            count = text("", "n")
        return tab.on("click", lambda: self._switch_tab(label), []), count

    def _count(self, request: RequestDetail) -> None:
        findings = sum(len(evidence.findings) for evidence in request.evidence)
        counts = (len(self._files), findings, len(request.history))
        for (_, shown), count in zip(self._tab_elements.values(), counts, strict=True):
            shown.text = str(count)
            shown.set_visibility(bool(count))

    def _switch_tab(self, label: str) -> None:
        self._tab = label
        for own, (tab, _) in self._tab_elements.items():
            attributes(tab, {"aria-selected": str(own == label).lower()})
        attributes(self._body, {"aria-label": label})
        self._show_tab()

    # The body

    def _show_tab(self) -> None:
        request = self.request
        if request is None:
            return
        self._body.clear()
        with self._body:
            if self._tab == "Changes":
                self._changes(request)
            elif self._tab == "Evidence":
                show_evidence(request)
            else:
                show_history(self._visit, request)

    def _changes(self, request: RequestDetail) -> None:
        if self._powers is not None:
            show_powers(request, self._powers)
        show_probation(request.probation)
        show_headline(request)
        if hidden := hidden_characters(request):
            callout(
                "critical",
                "shield-alert",
                "The code holds characters that cannot be seen.",
                f"{plural(hidden, 'control or direction character')} could make it read otherwise "
                "than it runs; spelled out in red below.",
            )
        if request.proposed is not None and request.proposed.passes_to is not None:
            passes_on(request.proposed.passes_to)
        show_facts(request, self._files)
        if request.notes.strip():
            with box("panel"):
                text("The author says", tag="h2")
                text(request.notes.strip(), "notes", "p")
        with box("bar"):
            text(compared_with(request, self._against), "grow", "h2")
            if request.round > 1 and request.proposed is not None:
                self._rounds(request)
            if any(file.status == "changed" for file in self._files):
                with box("seg", role="group", aria_label="Layout of the diff") as layout:
                    self._layout_choices(layout, self._layout(request))
        if not self._files:
            blank("file-code-2", "Nothing differs", "It is what runs now.")
            return
        self._diff = DiffView(
            self._files,
            notes=notes_of(request),
            mode=self._layout(request),
            remarks_on=code_path(request),
            on_remark=self._remark if request.proposed and not self.why_not else None,
        )

    async def _remark(self, line: int) -> None:
        await self._decide(Verdict.REQUEST_CHANGES, line)

    def _rounds(self, request: RequestDetail) -> None:
        """The interdiff: what changed since reviewers last looked."""
        earlier = [one.number for one in request.rounds if one.number < request.round][-3:]
        with box("seg", role="group", aria_label="What it is compared with"):
            for number in (None, *earlier):
                choice(
                    _RELEASED if number is None else f"Round {number}",
                    on=number == self._against,
                    on_click=partial(self._compare, request, number),
                )

    async def _compare(self, request: RequestDetail, number: int | None) -> None:
        with self._visit.client:
            self._against = number
            self._files = await run.io_bound(changed_files, request, number) or []
            self._show_tab()

    def _layout(self, request: RequestDetail) -> Mode:
        return self._mode or ("unified" if request.lock else "split")

    def _layout_choices(self, place: Element, now: Mode) -> None:
        place.clear()
        with place:
            for mode, label, name in _LAYOUTS:
                choice(
                    label,
                    on=mode == now,
                    name=name,
                    on_click=partial(self._lay_out, mode, place),
                )

    def _lay_out(self, mode: Mode, place: Element) -> None:
        self._mode = mode
        self._layout_choices(place, mode)
        self._diff.show_as(mode)
