"""The cards of the policy page that are lists: overrides of the requirements, and rules in CEL."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from pydantic import BaseModel, ValidationError

from mcpbox.domain.evidence import Risk
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.review_policy import Override, ReviewFacts, Rule
from mcpbox.domain.subjects import Kind
from mcpbox.policies.probation import terms_in_words
from ui.pages.policy_controls import Card
from ui.pages.policy_draft import Draft
from ui.pages.policy_form import ROLES, SEPARATIONS
from ui.parts import attributes, box, button, icon, state_badge, text
from ui.tables import table
from ui.visit import Visit
from ui.words import Tone, read_span, span

Model = TypeVar("Model", bound=BaseModel)
_OVERRIDES = (("Override", ""), ("Of requests", ""), ("Asks for", ""), ("", ""))
_RULES = (("Rule", ""), ("When", ""), ("Reason", "optional"), ("", ""))
KINDS = {kind: kind.replace("_", " ").capitalize() for kind in Kind}
_BADGES: dict[str, tuple[str, Tone]] = {
    "auto_deny": ("Denies", "bad"),
    "auto_approve": ("Approves", "good"),
}
_NAMES = {
    "approvals": "approvals",
    "separation": "separation",
    "ttl": "expires after",
    "execution_window": "lapses after",
    "escalate_after": "escalates after",
    "escalate_to": "escalates to",
    "roles": "decided by",
    "reasons": "reasons for",
    "reminders": "reminds after",
    "probation": "on probation",
}


def overrides_card(visit: Visit, draft: Draft) -> None:
    Card(visit, "Overrides", partial(_overrides, draft))


def rules_card(visit: Visit, draft: Draft) -> None:
    Card(visit, "Rules", partial(_rules, draft))


def _overrides(draft: Draft, card: Card) -> None:
    overrides = draft.policy.overrides

    async def add() -> None:
        with card.visit.client.content:
            made = await _ask_override()
        if made is not None:
            draft.set_overrides((*draft.policy.overrides, made))
            card.rebuild()

    with box("section-head wrap"):
        text("Overrides", "grow", "h2")
        text("In this order, a later one over an earlier one.", "faint small")
        if draft.editable:
            button("Add an override", on_click=card.visit.steady(add)).mark("add-override")
    if not overrides:
        text("None: what a request needs is the same for all.", "muted empty-note", "p")
        return
    with table("Overrides", _OVERRIDES):
        for place, override in enumerate(overrides):
            with box("", "tr"):
                text(override.name, "strong", "td")
                text("; ".join(_matches(override)) or "all", "", "td")
                text("; ".join(_asks(override)) or "nothing else", "", "td")
                with box("right", "td"):
                    if draft.editable:
                        rest = overrides[:place] + overrides[place + 1 :]
                        _remove(card, override.name, partial(draft.set_overrides, rest))


def _rules(draft: Draft, card: Card) -> None:
    async def add() -> None:
        with card.visit.client.content:
            asked = await _ask_rule()
        if asked is not None:
            part, rule = asked
            draft.set_rules(part, (*getattr(draft.policy, part), rule))
            card.rebuild()

    with box("section-head wrap"):
        text("Rules", "grow", "h2")
        text("Decide when a request is presented; deny wins.", "faint small")
        if draft.editable:
            button("Add a rule", on_click=card.visit.steady(add)).mark("add-rule")
    if not draft.policy.auto_deny and not draft.policy.auto_approve:
        text("None: people decide everything.", "muted empty-note", "p")
        return
    with table("Rules", _RULES):
        for part, badge in _BADGES.items():
            rules: tuple[Rule, ...] = getattr(draft.policy, part)
            for place, rule in enumerate(rules):
                with box("", "tr"):
                    with box("", "td"), box("line-row"):
                        state_badge(badge)
                        text(rule.name, "mono strong")
                    text(rule.expression, "mono expression", "td")
                    text(rule.reason, "optional muted", "td")
                    with box("right", "td"):
                        if draft.editable:
                            rest = rules[:place] + rules[place + 1 :]
                            _remove(card, rule.name, partial(draft.set_rules, part, rest))


def _remove(card: Card, name: str, act: Callable[[], None]) -> None:
    remove = button(kind="ghost icon-only", name="x", on_click=card.then_rebuild(act))
    attributes(remove, {"aria-label": f"Remove {name}", "title": f"Remove {name}"})


def _matches(override: Override) -> Iterator[str]:
    if override.kinds:
        yield ", ".join(KINDS[kind].lower() for kind in override.kinds)
    if override.servers:
        yield "on " + ", ".join(override.servers)
    if override.risks:
        yield "risk " + ", ".join(override.risks)


def _asks(override: Override) -> Iterator[str]:
    for name, value in override.changes.items():
        yield f"{_NAMES[name]} {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, frozenset | tuple):
        return ", ".join(sorted(map(_shown, cast("Iterable[object]", value)))) or "none"
    if isinstance(value, ProbationTerms):
        return terms_in_words(value)
    return span(value) if isinstance(value, timedelta) else str(value)


async def _ask_rule() -> tuple[str, Rule] | None:
    """The list it belongs to, and the rule; ``None`` when the visitor thought better of it."""
    with ui.dialog() as dialog, ui.card().classes("sheet sheet-wide"):
        attributes(dialog, {"aria-label": "Add a rule"})
        _sheet_head("Add a rule", "True means that the rule decides, without people.")
        with box("sheet-body"):
            part = ui.toggle(
                {"auto_approve": "Approves", "auto_deny": "Denies"}, value="auto_approve"
            )
            part.props("no-caps unelevated dense").classes("toggle").mark("rule-part")
            name = _field("Name", "small letters, digits, - and _", "rule-name")
            expression = _area("When, in CEL", "kind == 'publish' && risk == 'low'", "rule-when")
            text("Facts: " + ", ".join(ReviewFacts.model_fields), "faint small mono", "p")
            text(
                "checks is a map from a check to passed, warning, failed, missing or skipped; "
                "hour and weekday (1 is Monday) are in UTC.",
                "faint small",
                "p",
            )
            reason = _field("Reason", "Kept with the decision; the author reads it", "rule-reason")
        said = text("", "form-error", "p")

        def submit() -> None:
            given = {
                "name": (name.value or "").strip(),
                "expression": (expression.value or "").strip(),
                "reason": (reason.value or "").strip(),
            }
            if rule := _made(Rule, given, said):
                dialog.submit((part.value, rule))

        _sheet_foot(dialog, "Add", submit)
    return await _answer(dialog)


async def _ask_override() -> Override | None:
    with ui.dialog() as dialog, ui.card().classes("sheet sheet-wide"):
        attributes(dialog, {"aria-label": "Add an override"})
        _sheet_head("Add an override", "What is left empty matches everything, or stays as it is.")
        with box("sheet-body"):
            name = _field("Name", "production, high risk", "override-name")
            kinds = _several("Kinds of request", KINDS)
            risks = _several("Risks", {risk: risk.capitalize() for risk in Risk})
            servers = _field("Servers", "names, with commas between", "override-servers")
            with box("two"):
                approvals = _field("Approvals", "as it is", "override-approvals")
                ttl = _field("Expires after", "as it is", "override-ttl")
            roles = _several("Decided by", ROLES)
            separation = _one("Who may not decide", SEPARATIONS)
            with box("two"):
                hours = _field("Hours on probation", "as it is", "override-hours")
                calls = _field("Calls on probation", "as it is", "override-calls")
        said = text("", "form-error", "p")

        def submit() -> None:
            given: dict[str, Any] = {
                "name": (name.value or "").strip(),
                "kinds": kinds.value,
                "risks": risks.value,
                "servers": [s.strip() for s in (servers.value or "").split(",") if s.strip()],
                "approvals": (approvals.value or "").strip() or None,
                "ttl": read_span(ttl.value) or ttl.value if ttl.value else None,
                "roles": roles.value or None,
                "separation": separation.value,
                "probation": _limits(hours=hours.value, calls=calls.value),
            }
            if override := _made(Override, given, said):
                dialog.submit(override)

        _sheet_foot(dialog, "Add", submit)
    return await _answer(dialog)


def _limits(**given: str | None) -> dict[str, str] | None:
    """``None``: no limit is given, which leaves the probation as it is."""
    return {name: text.strip() for name, text in given.items() if text and text.strip()} or None


def _made(model: type[Model], given: dict[str, Any], said: TextElement) -> Model | None:
    """``None``: it is not valid, and ``said`` says why."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        said.set_text(f"{problem['loc'][0]}: {problem['msg'].removeprefix('Value error, ')}")
        return None


async def _answer(dialog: ui.dialog) -> Any:
    answer = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return answer


def _sheet_head(title: str, note: str) -> None:
    with box("sheet-head"):
        with box("sheet-mark ok"):
            icon("shield-check")
        with box("grow"):
            text(title, tag="h2")
            text(note, "muted", "p")


def _sheet_foot(dialog: ui.dialog, label: str, submit: Callable[[], None]) -> None:
    with box("sheet-foot"):
        button("Cancel", on_click=lambda: dialog.submit(None))
        button(label, kind="primary", on_click=submit).mark("confirm")


def _field(label: str, placeholder: str, mark: str) -> ui.input:
    with box("grow"):
        text(label, "label", "div")
        field = ui.input(placeholder=placeholder).classes("field").mark(mark)
    field.props("outlined dense autocomplete=off spellcheck=false hide-bottom-space")
    attributes(field, {"aria-label": label})
    return field


def _area(label: str, placeholder: str, mark: str) -> ui.textarea:
    with box("grow"):
        text(label, "label", "div")
        area = ui.textarea(placeholder=placeholder).classes("field mono").mark(mark)
    area.props('outlined dense autogrow spellcheck=false input-style="min-height:64px"')
    attributes(area, {"aria-label": label})
    return area


def _several(label: str, options: dict[Any, str]) -> ui.select:
    with box("grow"):
        text(label, "label", "div")
        field = ui.select({k.value: v for k, v in options.items()}, multiple=True, value=[])
    return _dressed(field, label)


def _one(label: str, options: dict[Any, str]) -> ui.select:
    with box("grow"):
        text(label, "label", "div")
        choices = {None: "As it is", **{k.value: v for k, v in options.items()}}
        field = ui.select(choices, value=None)
    return _dressed(field, label)


def _dressed(field: ui.select, label: str) -> ui.select:
    field.classes("field").props("outlined dense options-dense hide-bottom-space use-chips=false")
    attributes(field, {"aria-label": label})
    return field
