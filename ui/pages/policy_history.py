"""The lower half of the policy page: what a dry run found, and the versions with their changes."""

import json

from mcpbox.domain.base import Page
from mcpbox.domain.dry_runs import DryRun, Effect, WouldBe
from mcpbox.domain.review_policy import PolicyVersion
from ui.diff import FileDiff, diff_file
from ui.diff_view import DiffView
from ui.parts import blank, box, state_badge, text
from ui.problems import ApiProblem
from ui.tables import pager, row_link, table
from ui.visit import Visit
from ui.words import Tone, plural, who

_EFFECTS: dict[Effect, tuple[str, Tone]] = {
    Effect.APPROVED_INSTEAD: ("Approved instead", "bad"),
    Effect.DENIED_INSTEAD: ("Denied instead", "warn"),
    Effect.MORE_APPROVALS: ("Not enough approvals", "warn"),
    Effect.LEFT_TO_PEOPLE: ("Left to people", "busy"),
    Effect.AUTOMATED: ("Same, by a rule", "good"),
}
_DRY_RUN = (
    ("Request", ""),
    ("Then", ""),
    ("It would be", ""),
    ("Rule", "optional"),
    ("Decided", "num optional"),
)
_VERDICTS = {"approve": "approved", "deny": "denied"}


def show_dry_run(visit: Visit, found: DryRun) -> None:
    flips = sum(count for effect, count in found.counts.items() if effect.flips)
    with box("card", "section", aria_label="Dry run"):
        with box("section-head wrap"):
            text("On what was decided so far", "grow", "h2")
            text(f"{plural(found.judged, 'decision')}, {flips} would flip", "faint small")
        if found.unjudged:
            more = plural(found.unjudged, "older decision")
            text(f"{more} cannot be tried: their facts were not kept.", "muted empty-note", "p")
        if not found.changes:
            blank("circle-check", "Nothing would be different", "Every past decision stays.")
            return
        with table("Past decisions that would be different", _DRY_RUN):
            for would in found.changes:
                _would(visit, would)


def _would(visit: Visit, would: WouldBe) -> None:
    by = ", ".join(would.decided_by)
    with box("", "tr"):
        with box("main-cell", "td"):
            row_link(would.title, f"/approvals?id={would.request_id}")
            text(would.kind.replace("_", " "), "sub")
        text(f"{_VERDICTS.get(would.verdict, would.verdict)} by {by}", "", "td", title=by)
        with box("", "td"):
            state_badge(_EFFECTS[would.effect])
            if would.note:
                text(would.note, "sub")
        text(would.rule or "\N{EN DASH}", "mono optional", "td")
        with box("num optional faint", "td"):
            visit.stamp(would.decided_at, relative=True)


def show_versions(visit: Visit, versions: Page[PolicyVersion]) -> None:
    with box("card", "section", aria_label="Versions"):
        with box("section-head"):
            text("Versions", "grow", "h2")
        with box("", "ol"):
            for version in versions.items:
                _version(visit, version)
        pager(visit, versions)


def _version(visit: Visit, version: PolicyVersion) -> None:
    with box("version-row", "li"):
        with box("line-row"):
            text(f"Version {version.version}", "strong")
            text(version.reason, "muted grow ellipsis", title=version.reason)
            text(who(version.changed_by)[1], "faint small")
            if version.changed_at is None:
                return
            visit.stamp(version.changed_at, "faint small", relative=True)
            with box("link-button", "button", type="button", aria_expanded="false") as opener:
                text("Show the change")
        place = box("version-change")
        place.set_visibility(False)

    async def toggle() -> None:
        if not place.visible and not place.default_slot.children:
            try:
                before = await visit.rest.policy_version(version.version - 1)
            except ApiProblem as problem:
                visit.show_problem(problem)
                return
            with place:
                DiffView([_difference(before, version)], mode="unified")
        place.set_visibility(not place.visible)
        opener.props["aria-expanded"] = str(place.visible).lower()

    opener.on("click", toggle, [])


def _difference(before: PolicyVersion, after: PolicyVersion) -> FileDiff:
    return diff_file("policy.json", _written(before), _written(after))


def _written(version: PolicyVersion) -> str:
    return json.dumps(version.policy.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
