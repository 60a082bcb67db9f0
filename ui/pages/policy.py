"""The review policy: what holds, who changed it, and, for admins, a form that changes it."""

import asyncio
from typing import NamedTuple

from nicegui import ui
from nicegui.element import Element
from pydantic import ValidationError

from mcpbox.domain.base import Page
from mcpbox.domain.dry_runs import DryRun, Proposal
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.review_policy import PolicyChange, PolicyVersion, ReviewPolicy
from ui.frame import Top
from ui.pages.policy_draft import Draft
from ui.pages.policy_form import requirements_card, settings_card
from ui.pages.policy_history import show_dry_run, show_versions
from ui.pages.policy_rules import overrides_card, rules_card
from ui.parts import attributes, box, button, callout, icon, state_badge, text
from ui.problems import ApiProblem
from ui.section import Section
from ui.visit import Visit
from ui.words import plural, who

_PARTS = {
    "settings": "security settings",
    "requirements": "requirements",
    "sticky": "lighter path",
    "overrides": "overrides",
    "auto_deny": "rules that deny",
    "auto_approve": "rules that approve",
}


class _Shown(NamedTuple):
    current: PolicyVersion
    versions: Page[PolicyVersion]


async def policy_page(visit: Visit, top: Top) -> None:
    del top

    async def load() -> _Shown:
        current, versions = await asyncio.gather(
            visit.rest.policy(), visit.rest.policy_versions(page=visit.page_number)
        )
        return _Shown(current, versions)

    with box("page scroll"):
        if not visit.visitor.is_admin:
            section = Section(visit, load, lambda shown: _show(visit, shown), "page-wide")
            await section.refresh()
            visit.follow(frozenset({"policy"}), section.refresh)
            return
        # Never built anew: that would throw away what an admin is typing.
        shown = await load()
        with box("page-wide"):
            news = callout(
                "medium",
                "triangle-alert",
                "The policy was changed meanwhile",
                "What you change here is on top of an older version and cannot be saved: reload.",
            )
            news.set_visibility(False)
            _show(visit, shown)

    async def look() -> None:
        current = await visit.rest.policy()
        news.set_visibility(current.version != shown.current.version)

    visit.follow(frozenset({"policy"}), look)


def _show(visit: Visit, shown: _Shown) -> None:
    current = shown.current
    with box("page-title"):
        state_badge((f"Version {current.version} in force", "good"))
        text(current.reason, "notes", "p")
        with box("made faint", title=current.changed_by):
            text(f"by {who(current.changed_by)[1]}" if current.changed_at else "built in")
            if current.changed_at:
                text(", ")
                visit.stamp(current.changed_at, relative=True)
    if not visit.visitor.is_admin:
        text("Only an admin changes the policy. Everybody may read it and its history.", "muted")
    draft = Draft(current.policy, editable=visit.visitor.is_admin)
    settings_card(visit, draft)
    requirements_card(visit, draft)
    overrides_card(visit, draft)
    rules_card(visit, draft)
    result = box("dry-run")
    if draft.editable:
        _Bar(visit, draft, current, result)
    show_versions(visit, shown.versions)


class _Bar:
    """What was changed, and what can be done with it; sticks to the lower edge."""

    def __init__(self, visit: Visit, draft: Draft, current: PolicyVersion, result: Element) -> None:
        self._visit = visit
        self._draft = draft
        self._current = current
        self._result = result
        with box("save-bar", role="status") as self._place:
            self._words = text("", "grow")
            button("Discard", kind="ghost", on_click=lambda: ui.navigate.reload())
            button(
                "Try on past decisions",
                name="history",
                on_click=visit.steady(self._try),
            ).mark("dry-run")
            self._save = button(
                f"Save as version {current.version + 1}",
                kind="primary",
                on_click=visit.steady(self._ask_and_save),
            ).mark("save-policy")
        draft.on_change = self._refresh
        self._refresh()

    def _refresh(self) -> None:
        changed = self._draft.changed_parts
        named = ", ".join(_PARTS[name] for name in changed)
        self._words.set_text(f"Changed: {named}" if changed else "Nothing changed yet")
        self._save.set_enabled(bool(changed))
        self._place.classes(add="on" if changed else "", remove="" if changed else "on")

    async def _try(self) -> None:
        policy = self._checked()
        if policy is None:
            return
        try:
            found: DryRun = await self._visit.rest.try_policy(Proposal(policy=policy))
        except ApiProblem as problem:
            self._visit.show_problem(problem)
            return
        self._result.clear()
        with self._result:
            show_dry_run(self._visit, found)
        flips = sum(count for effect, count in found.counts.items() if effect.flips)
        self._visit.tell(f"{plural(flips, 'past decision')} of {found.judged} would flip")

    async def _ask_and_save(self) -> None:
        policy = self._checked()
        if policy is None:
            return
        with self._visit.client.content:
            reason = await _ask_reason(self._current.version + 1)
        if reason is None:
            return
        change = PolicyChange(policy=policy, expected_version=self._current.version, reason=reason)
        try:
            await self._visit.rest.change_policy(change)
        except ApiProblem as problem:
            self._visit.show_problem(problem)
            return
        ui.navigate.reload()

    def _checked(self) -> ReviewPolicy | None:
        """As the API will check it, so that nobody gives a reason for what cannot be."""
        try:
            return self._draft.checked()
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, problem["loc"]))
            words = problem["msg"].removeprefix("Value error, ")
            self._visit.tell(f"{place}: {words}" if place else words, ok=False)
            return None


async def _ask_reason(version: int) -> str | None:
    """``None`` when the visitor thought better of it."""
    title = f"Save as version {version}?"
    with ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": title})
        with box("sheet-head"):
            with box("sheet-mark ok"):
                icon("shield-check")
            with box("grow"):
                text(title, tag="h2")
                text("It holds for new requests at once; open ones keep theirs.", "muted", "p")
        with box("sheet-body"):
            text("Reason", "label", "div")
            reason = ui.textarea(placeholder="Kept with the version, for whoever asks later")
            reason.classes("field").mark("policy-reason").props(
                "outlined dense autogrow autofocus no-error-icon hide-bottom-space "
                'input-style="min-height:64px"'
            )
            reason.validation = {
                "A change needs a reason": lambda value: bool((value or "").strip()),
                "That is too long": lambda value: len(value or "") <= REASON_MAX_LENGTH,
            }
            reason.without_auto_validation()
            attributes(reason, {"aria-label": "Reason"})
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))

            def submit() -> None:
                if reason.validate():
                    dialog.submit((reason.value or "").strip())

            button("Save", kind="primary", on_click=submit).mark("confirm")
    answer: str | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return answer
