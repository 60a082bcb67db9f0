"""The audit log: whether it is whole, what is in it, and one event in full."""

import json
from collections.abc import Sequence
from datetime import datetime

from nicegui import ui
from nicegui.element import Element

from mcpbox.domain.audit import Action, AuditEvent, AuditVerification, Protection
from mcpbox.domain.base import Page
from mcpbox.domain.texts import reveal
from ui.frame import Top
from ui.parts import attributes, blank, box, button, icon, link, text
from ui.problems import ApiProblem
from ui.section import Section
from ui.tables import pager, row_link, table
from ui.visit import Visit
from ui.words import action_words, clock, plural, who

_COLUMNS = (
    ("What happened", ""),
    ("Who", ""),
    ("Subject", "optional"),
    ("Event", "num right optional"),
    ("When", "num right"),
)
_FILTERS = ("actor", "action", "subject", "since", "until")
_PROTECTIONS = {
    Protection.RIGHTS: ("Append only", "the application's role has no right to change it"),
    Protection.TRIGGER: ("Guarded by a trigger", "the application's role owns the table"),
    Protection.NOTHING: ("Not guarded", "the application's role can change it"),
}


async def audit_page(visit: Visit, top: Top) -> None:
    del top
    query = visit.query
    wanted = {name: query.get(name, "") for name in _FILTERS}

    async def load() -> Page[AuditEvent]:
        return await visit.rest.audit(
            actor=wanted["actor"],
            action=wanted["action"],
            subject=wanted["subject"],
            since=_day(wanted["since"]),
            until=_day(wanted["until"]),
            page=visit.page_number,
        )

    def show(page: Page[AuditEvent]) -> None:
        if page.items:
            _events(visit, page.items)
        elif any(wanted.values()):
            blank("link", "Nothing matches", "Words are matched whole; clear one of the filters.")
        else:
            blank("link", "Nothing has happened yet", "Every decision is kept here.")
        pager(visit, page)

    with box("page scroll"), box("page-wide"):
        chain = _Chain(visit)
        _filters(wanted)
        section = Section(visit, load, show, "card")
        await section.refresh()
    ui.timer(0.05, chain.check, once=True)
    if visit.page_number == 1:  # older pages would slide under the reader's eyes
        visit.follow(frozenset({"audit"}), section.refresh)


class _Chain:
    """What reading the whole log says; asked after the page is there, for it may take a while."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with box("card", "section", aria_label="State of the chain"):
            self._place = box("", role="status")
        with self._place:
            self._head("busy", "Reading the whole log …", "")

    async def check(self) -> None:
        try:
            found = await self._visit.rest.audit_verification()
        except ApiProblem as problem:
            self._place.clear()
            with self._place:
                self._head("unknown", problem.title, problem.detail)
            return
        self._place.clear()
        with self._place:
            self._show(found)

    def _show(self, found: AuditVerification) -> None:
        report = found.report
        if report.broken is None:
            self._head("ok", "The chain is whole", "Every event is as it was written.")
        else:
            title = f"The log is broken at event {report.broken.sequence}"
            with (
                self._head("no", title, report.broken.problem),
                link(f"/audit/{report.broken.sequence}", "small"),
            ):
                text("Show this event")
        with box("facts chain"):
            _fact("Events", str(report.events), f"{report.first} to {report.last}")
            with box("fact"):
                text("Last anchor", "k", "div")
                anchor = found.last_anchor
                with box("v"):
                    if anchor is None:
                        text("None yet")
                    else:
                        self._visit.stamp(anchor.at, relative=True)
                about = (
                    f"over event {anchor.sequence}; {plural(report.anchors, 'anchor')} compared"
                    if anchor
                    else "one is signed every day; mcpbox audit anchor makes one now"
                )
                text(about, "s", "div")
            _fact("Head", report.head[:12], "hash of the newest event", mono=True)
            _fact("Kept from changes", *_PROTECTIONS[found.protection])
        if found.unsigned_anchors:
            words = f"{plural(found.unsigned_anchors, 'stored anchor')} signed by a stranger"
            text(words, "muted small chain-note", "p")

    def _head(self, level: str, title: str, detail: str) -> Element:
        name = {"ok": "shield-check", "no": "shield-alert"}.get(level, "link")
        with box("chain-head"):
            with box(f"sheet-mark {level}"):
                icon(name)
            with box("grow") as words:
                text(title, tag="h2")
                if detail:
                    text(detail, "muted", "p")
            if level in ("ok", "no"):
                button("Check again", name="history", on_click=self._visit.steady(self.check))
        return words


def _filters(wanted: dict[str, str]) -> None:
    """A form, so that an address can be kept, and it works without a script."""
    with box("filter-form", "form", method="get", action="/audit", aria_label="Filters"):
        with _labelled("Who"):
            _field("actor", wanted["actor"], placeholder="person:ana")
        with _labelled("What happened"), box("field-native", "select", name="action"):
            for value, words in [("", "Anything"), *((str(a), action_words(a)) for a in _sorted())]:
                option = attributes(text(words, tag="option"), {"value": value})
                if value == wanted["action"]:
                    attributes(option, {"selected": "selected"})
        with _labelled("Subject"):
            _field("subject", wanted["subject"], placeholder="server:… or request:…")
        with _labelled("From"):
            _field("since", wanted["since"], type="date")
        with _labelled("Until"):
            _field("until", wanted["until"], type="date")
        with box("filter-go"):
            with box("submit", "button", type="submit"):
                text("Filter")
            if any(wanted.values()):
                with link("/audit", "small"):
                    text("Clear")


def _sorted() -> Sequence[Action]:
    return sorted(Action, key=action_words)


def _labelled(label: str) -> Element:
    with box("", "label") as element:
        text(label)
    return element


def _field(name: str, value: str, **more: str) -> None:
    attributes(
        box("field-native", "input", name=name, autocomplete="off", **more), {"value": value}
    )


def _events(visit: Visit, events: Sequence[AuditEvent]) -> None:
    with table("Audit log", _COLUMNS):
        for event in events:
            with box("", "tr"):
                with box("main-cell", "td"):
                    row_link(action_words(event.action), f"/audit/{event.sequence}", classes="")
                    text(reveal(event.detail), "sub", title=event.detail)
                with box("by-cell", "td"), box("line-row"):
                    name, words = who(event.actor)
                    icon(name, "i-14 faint")
                    text(words, "ellipsis", title=event.actor)
                text(_short(event.subject), "mono small muted optional", "td", title=event.subject)
                text(str(event.sequence), "num faint optional", "td")
                with box("num faint", "td"):
                    visit.stamp(event.at, relative=True)


async def audit_event_page(visit: Visit, top: Top) -> None:
    given = str(visit.request.path_params["sequence"])
    if not given.isdecimal() or len(given) > 18:
        raise ApiProblem(404, "There is no such event", "The address is incomplete.")
    event = await visit.rest.audit_event(int(given))
    top.name(action_words(event.action))
    with box("page scroll"), box("page-wide"):
        with box("facts"):
            _fact("Event", str(event.sequence), event.action)
            _fact("Who", who(event.actor)[1], event.actor)
            with box("fact"):
                text("When", "k", "div")
                with box("v"):
                    visit.stamp(event.at, relative=True)
                text(clock(event.at), "s", "div")
            with box("fact"):
                text("Subject", "k", "div")
                _subject_link(event.subject)
                with link(f"/audit?subject={event.subject}", "s"):
                    text("All about it")
        if event.detail:
            _block("Detail", reveal(event.detail))
        if event.facts:
            _block("Facts", json.dumps(event.facts, indent=2, ensure_ascii=False))
        _block(
            "In the chain",
            f"hash      {event.hash}\nfollows   {event.previous_hash}",
        )


def _subject_link(subject: str) -> None:
    """To what it is about, where the panel has a page for it."""
    kind, _, key = subject.partition(":")
    target = {
        "server": f"/servers/{key}",
        "tool": f"/tools/{key}",
        "request": f"/approvals?id={key}",
    }.get(kind)
    if target is None:
        text(_short(subject), "v mono", "div")
        return
    with link(target, "v mono"):
        text(_short(subject))


def _short(subject: str) -> str:
    kind, _, key = subject.partition(":")
    return f"{kind}:{key[:8]}"


def _day(given: str) -> str:
    """As the API takes a time; what is no date is no filter."""
    try:
        return datetime.fromisoformat(given).strftime("%Y-%m-%dT00:00:00Z") if given else ""
    except ValueError:
        return ""


def _fact(label: str, value: str, note: str, *, mono: bool = False) -> None:
    with box("fact"):
        text(label, "k", "div")
        text(value, "v mono" if mono else "v", "div")
        text(note, "s", "div", title=note)


def _block(title: str, content: str) -> None:
    with box("card", "section", aria_label=title):
        with box("section-head"):
            text(title, tag="h2")
        text(content, "text-block", "pre", tabindex="0")
