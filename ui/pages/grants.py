"""What a server's tools may use because people said so, and taking it back."""

from datetime import UTC, datetime
from functools import partial

from nicegui import ui

from mcpbox.domain.base import Page
from mcpbox.domain.grants import Grant
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from ui.parts import attributes, blank, box, button, icon, text
from ui.problems import ApiProblem
from ui.tables import row_link, table
from ui.visit import Visit
from ui.words import GRANTS, until, who

_COLUMNS = (
    ("Grant", ""),
    ("Ends", ""),
    ("Asked for by", "optional"),
    ("Approved by", "optional"),
    ("Granted", "num right optional"),
    ("", "right"),
)


def grants_card(visit: Visit, page: Page[Grant]) -> None:
    with box("card"):
        with box("section-head"):
            text("Grants", "grow", "h2")
        if not page.items:
            blank("shield-check", "Nothing is granted", "Its tools reach no host and no module.")
            return
        with table("Grants", _COLUMNS):
            for grant in page.items:
                _row(visit, grant)


def _row(visit: Visit, grant: Grant) -> None:
    with box("", "tr"):
        with box("main-cell", "td"):
            row_link(f"{GRANTS[grant.kind]} {grant.value}", f"/approvals?id={grant.request_id}")
        ends = "no end" if grant.expires_at is None else until(grant.expires_at, datetime.now(UTC))
        text(ends, "muted", "td")
        text(who(grant.requester)[1], "optional", "td", title=grant.requester)
        text(grant.granted_by, "optional", "td")
        with box("num optional faint", "td"):
            visit.stamp(grant.granted_at, relative=True)
        with box("right", "td"):
            if visit.visitor.may_revoke:
                take_back = visit.steady(partial(_revoke, visit, grant))
                button("Revoke", kind="danger-plain", on_click=take_back).mark("revoke")


async def _revoke(visit: Visit, grant: Grant) -> None:
    reason = await _ask(visit, grant)
    if reason is None:
        return
    try:
        await visit.rest.revoke_grant(grant.id, reason)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        visit.tell(f"{grant.value} is revoked", ok=True)


async def _ask(visit: Visit, grant: Grant) -> str | None:
    """The reason, or ``None`` when the visitor thought better of it."""
    title = f"Revoke {grant.value}?"
    with visit.client.content, ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": title})
        with box("sheet-head"):
            with box("sheet-mark no"):
                icon("x")
            with box("grow"):
                text(title, tag="h2")
                text("Tools that need it are not called any more, at once.", "muted", "p")
        with box("sheet-body"):
            text("Reason", "label", "div")
            reason = ui.textarea(placeholder="Kept in the audit log", validation=_complaint)
            reason.classes("field").without_auto_validation().mark("reason").props(
                "outlined dense autogrow autofocus no-error-icon hide-bottom-space"
            )
            attributes(reason, {"aria-label": "Reason"})
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))

            def submit() -> None:
                if reason.validate():
                    dialog.submit((reason.value or "").strip())

            button("Revoke", kind="danger", on_click=submit).mark("confirm")
    answer: str | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return answer


def _complaint(value: str | None) -> str | None:
    reason = (value or "").strip()
    if not reason:
        return "Say why"
    return f"At most {REASON_MAX_LENGTH} characters" if len(reason) > REASON_MAX_LENGTH else None
