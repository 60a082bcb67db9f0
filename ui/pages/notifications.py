"""What one is told, and, for admins, where else people are told."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from uuid import UUID

from nicegui import ui
from pydantic import SecretStr

from mcpbox.domain.base import Page
from mcpbox.domain.notices import ReceivedNotice, Target, TargetDraft, TargetKind
from ui.frame import Top
from ui.parts import attributes, blank, box, button, link, text
from ui.problems import ApiProblem
from ui.section import Section
from ui.tables import pager, table
from ui.visit import Visit

_ADD = "Add a target"
_COLUMNS = (
    ("Target", ""),
    ("Goes to", ""),
    ("Events", "optional"),
    ("Last delivery", "optional"),
    ("", "right"),
)
_KINDS = {
    TargetKind.WEBHOOK: "Webhook, signed",
    TargetKind.SLACK: "Slack",
    TargetKind.DISCORD: "Discord",
    TargetKind.EMAIL: "Mail",
}


class _Shown(NamedTuple):
    notices: Page[ReceivedNotice]
    targets: list[Target] | None
    """``None``: not for this visitor."""


async def notifications_page(visit: Visit, top: Top) -> None:
    admin = visit.visitor.is_admin

    async def load() -> _Shown:
        mine = visit.rest.notices(page=visit.page_number)
        if not admin:
            return _Shown(await mine, None)
        return _Shown(*await asyncio.gather(mine, visit.rest.targets()))

    def show(shown: _Shown) -> None:
        _show_notices(visit, shown.notices)
        if shown.targets is not None:
            _show_targets(visit, shown.targets, section)

    async def read() -> None:
        try:
            await visit.rest.mark_read()
        except ApiProblem as problem:
            visit.show_problem(problem)

    with top.bar:
        button("Mark all as read", name="check", on_click=read)
    with box("page scroll"):
        section = Section(visit, load, show, "page-wide")
        await section.refresh()
    visit.follow(frozenset({"notices"}), section.refresh)


def _show_notices(visit: Visit, page: Page[ReceivedNotice]) -> None:
    with box("card", "section", aria_label="Notifications"):
        if not page.items:
            blank(
                "bell",
                "Nothing to tell",
                "What waits for your decision, and what became of it, is told here.",
            )
            return
        with box("rows notices"):
            for notice in page.items:
                new = notice.read_at is None
                with link(notice.path):
                    label = "New" if new else "Read"
                    box("dot new" if new else "dot", role="img", aria_label=label, title=label)
                    sentence = notice.sentence[:1].upper() + notice.sentence[1:]
                    text(sentence, "strong" if new else "muted", "div")
                    visit.stamp(notice.created_at, "when")
        pager(visit, page)


def _show_targets(visit: Visit, targets: list[Target], section: Section[_Shown]) -> None:
    with box("card", "section", aria_label="Told elsewhere"):
        with box("section-head"):
            text("Told elsewhere", "grow", "h2")
            button(_ADD, name="plug", on_click=lambda: _ask(visit, section))
        if not targets:
            blank(
                "globe",
                "People are told in the panel alone",
                "Add a webhook, a Slack or Discord channel, or mail addresses.",
            )
            return
        with table("Targets", _COLUMNS):
            for target in targets:
                _row(visit, target, section)


def _row(visit: Visit, target: Target, section: Section[_Shown]) -> None:
    with box("", "tr"):
        with box("main-cell", "td"):
            text(target.name, "strong", "div")
            text(_KINDS[target.kind], "sub")
        text(target.shown, "mono", "td")
        text(", ".join(target.events) or "all", "muted optional", "td")
        with box("optional", "td"):
            if target.problem:
                text(target.problem, "text-no small")
            elif target.delivered_at:
                visit.stamp(target.delivered_at, "faint", relative=True)
            else:
                text("none yet", "faint")
        with box("num right", "td"), box("line-row end"):
            button("Test", on_click=visit.steady(partial(_test, visit, target.id)))
            button(
                "Remove",
                kind="danger-plain",
                on_click=visit.steady(partial(_remove, visit, target.id, section)),
            )


async def _test(visit: Visit, target_id: UUID) -> None:
    try:
        await visit.rest.test_target(target_id)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        visit.tell("The test message arrived")


async def _remove(visit: Visit, target_id: UUID, section: Section[_Shown]) -> None:
    try:
        await visit.rest.remove_target(target_id)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        await section.refresh()


def _field(label: str, make: Callable[..., ui.input], *, placeholder: str) -> ui.input:
    text(label, "label", "div")
    field = make(placeholder=placeholder)
    field.classes("field").props("outlined dense")
    attributes(field, {"aria-label": label})
    return field


def _ask(visit: Visit, section: Section[_Shown]) -> None:
    with ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": _ADD})
        with box("sheet-head"), box("grow"):
            text(_ADD, tag="h2")
            text("It is sent names, a state and a link; nobody decides from there.", "muted", "p")
        with box("sheet-body"):
            name = _field("Name", ui.input, placeholder="reviewers")
            text("Kind", "label", "div")
            kind = ui.select(dict(_KINDS), value=TargetKind.WEBHOOK)
            kind.classes("field").props("outlined dense")
            attributes(kind, {"aria-label": "Kind"})
            address = _field(
                "Address, or mail addresses separated by commas; kept sealed",
                partial(ui.input, password=True),
                placeholder="https://\N{HORIZONTAL ELLIPSIS}",
            )
            private = ui.checkbox("It may be on a private network, and without TLS")
            told = text("", "mono small", "p")
            told.set_visibility(False)

        async def add() -> None:
            try:
                made = await visit.rest.add_target(
                    TargetDraft(
                        name=name.value or "",
                        kind=kind.value or TargetKind.WEBHOOK,
                        address=SecretStr(address.value or ""),
                        private=bool(private.value),
                    )
                )
            except (ApiProblem, ValueError) as problem:
                if isinstance(problem, ApiProblem):
                    visit.show_problem(problem)
                else:
                    visit.tell("Give the target a name of 1 to 80 characters.", ok=False)
                return
            if made.signing_secret:
                told.set_text(f"Signed with this secret, shown only now: {made.signing_secret}")
                told.set_visibility(True)
                adding.set_visibility(False)
            else:
                dialog.close()
            await section.refresh()

        with box("sheet-foot"):
            button("Close", on_click=dialog.close)
            adding = button("Add", kind="primary", on_click=add)
    dialog.open()
