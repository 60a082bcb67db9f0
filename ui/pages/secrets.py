"""The secrets of a server: where each may be sent, setting a value, deleting it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial

from nicegui import ui

from mcpbox.domain.secrets import VALUE_MAX_LENGTH, Secret
from ui.parts import attributes, box, button, icon, state_badge, text
from ui.problems import ApiProblem
from ui.tables import table
from ui.visit import Visit
from ui.words import Tone

_COLUMNS = (
    ("Secret", ""),
    ("Goes to", ""),
    ("State", ""),
    ("Set by", "optional"),
    ("", "right"),
)


def secrets_card(visit: Visit, secrets: Sequence[Secret]) -> None:
    """Nothing where the server has none: a client makes the place for one."""
    if not secrets:
        return
    with box("card"):
        with box("section-head"):
            text("Secrets", "grow", "h2")
        with table("Secrets", _COLUMNS):
            for secret in secrets:
                _row(visit, secret)


def _row(visit: Visit, secret: Secret) -> None:
    with box("", "tr"):
        with box("main-cell", "td"):
            text(secret.name, "mono")
        text(", ".join(secret.hosts), "mono", "td")
        with box("", "td"):
            state_badge(_state(secret))
        text((secret.set_by or "\N{EN DASH}").rpartition(":")[2], "optional", "td")
        with box("right", "td"), box("line-row end"):
            if visit.visitor.may_keep_secrets:
                label = "Rotate" if secret.is_set else "Set value"
                ask = visit.steady(partial(_set, visit, secret))
                button(label, on_click=ask).mark("set-secret")
                delete = visit.steady(partial(_delete, visit, secret))
                button("Delete", kind="danger-plain", on_click=delete).mark("delete-secret")


def _state(secret: Secret) -> tuple[str, Tone]:
    if not secret.is_granted:
        return "Not approved", "idle"
    return ("In use", "good") if secret.is_set else ("Has no value", "warn")


async def _set(visit: Visit, secret: Secret) -> None:
    with _sheet(visit, f"Value of {secret.name}") as dialog:
        with box("sheet-body"):
            text(
                f"It is sent to {', '.join(secret.hosts)}, and nobody sees it again.", "muted", "p"
            )
            value = ui.input(password=True).classes("field mono").mark("secret-value")
            value.props("outlined dense autofocus autocomplete=off")
            attributes(
                value,
                {"aria-label": f"Value of {secret.name}", "maxlength": str(VALUE_MAX_LENGTH)},
            )
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))
            confirm = button("Set", kind="primary", on_click=lambda: dialog.submit(value.value))
            confirm.mark("confirm")
            confirm.bind_enabled_from(value, "value", bool)
    given: str | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    if not given:
        return
    try:
        await visit.rest.set_secret(secret.server_id, secret.name, given)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        visit.tell(f"{secret.name} is set; the next call uses it", ok=True)


async def _delete(visit: Visit, secret: Secret) -> None:
    with _sheet(visit, f"Delete {secret.name}?") as dialog:
        with box("sheet-body"):
            text("Value and approval are gone at once; tools that need it stop.", "muted", "p")
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))
            delete = button("Delete", kind="danger", on_click=lambda: dialog.submit("yes"))
            delete.mark("confirm")
    sure: str | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    if sure is None:
        return
    try:
        await visit.rest.delete_secret(secret.server_id, secret.name)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        visit.tell(f"{secret.name} is deleted", ok=True)


@contextmanager
def _sheet(visit: Visit, title: str) -> Generator[ui.dialog]:
    # Not inside the shown page, which may be built anew while the visitor types.
    with visit.client.content, ui.dialog() as dialog, ui.card().classes("sheet"):
        attributes(dialog, {"aria-label": title})
        with box("sheet-head"):
            icon("key-round")
            text(title, "grow", "h2")
        yield dialog
