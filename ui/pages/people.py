"""The accounts of people: who there is, with which roles, and who may sign in."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

from nicegui import ui

from mcpbox.domain.people import Client, NewPassword, Role, User
from ui.frame import Top
from ui.pages.clients import clients_card
from ui.pages.sheets import attempt, sheet, shown_once, sure
from ui.parts import attributes, box, button, state_badge, text
from ui.section import Section
from ui.tables import table
from ui.visit import Visit

_COLUMNS = (
    ("Person", ""),
    ("Roles", ""),
    ("State", ""),
    ("Since", "optional"),
    ("", "right"),
)
_MEANINGS = {
    Role.VIEWER: "reads",
    Role.REVIEWER: "decides requests",
    Role.OPERATOR: "stops, starts, sets secrets",
    Role.AUDITOR: "reads the audit log",
    Role.ADMIN: "all of that, people and policy",
}


class _Shown(NamedTuple):
    users: list[User]
    clients: list[Client]


async def people_page(visit: Visit, top: Top) -> None:
    async def load() -> _Shown:
        return _Shown(*await asyncio.gather(visit.rest.users(), visit.rest.clients()))

    def show(shown: _Shown) -> None:
        with box("card", "section", aria_label="People"), table("People", _COLUMNS):
            for user in shown.users:
                _row(visit, user)
        clients_card(visit, shown.clients)

    with top.bar:
        button("Add a person", name="user", on_click=lambda: _add(visit)).mark("add-person")
    with box("page scroll"):
        section = Section(visit, load, show, "page-wide")
        await section.refresh()
    visit.follow(frozenset({"people", "clients"}), section.refresh)


def _row(visit: Visit, user: User) -> None:
    own = user.username == visit.visitor.username
    with box("", "tr"):
        with box("main-cell", "td"):
            text(user.username, "strong", "div")
            if own:
                text("you", "sub")
        text(", ".join(role for role in Role if role in user.roles), "", "td")
        with box("", "td"):
            state_badge(("Active", "good") if user.active else ("Inactive", "idle"))
        with box("optional", "td"):
            visit.stamp(user.created_at, "faint", relative=True)
        with box("num right", "td"), box("line-row end wrap"):
            button("Roles", on_click=visit.steady(partial(_change_roles, visit, user)))
            button("Reset password", on_click=visit.steady(partial(_reset, visit, user)))
            if own:
                return
            if user.active:
                act = visit.steady(partial(_deactivate, visit, user))
                button("Deactivate", kind="danger-plain", on_click=act)
            else:
                act = visit.steady(partial(_set_active, visit, user, active=True))
                button("Activate", on_click=act)


def _add(visit: Visit) -> None:
    with sheet(visit, "Add a person", "They sign in with a password that is made now.") as dialog:
        with box("sheet-body"):
            text("User name", "label", "div")
            name = ui.input(placeholder="ana").classes("field")
            name.props("outlined dense autofocus autocomplete=off spellcheck=false")
            attributes(name, {"aria-label": "User name"})
            roles = _role_boxes({Role.REVIEWER})
        with box("sheet-foot"):
            button("Cancel", on_click=dialog.close)

            async def add() -> None:
                made = await attempt(
                    visit, lambda: visit.rest.create_user(name.value or "", roles())
                )
                if made is not None:
                    dialog.close()
                    _show_password(visit, made)

            button("Add", kind="primary", on_click=visit.steady(add)).mark("confirm")
    dialog.open()


async def _change_roles(visit: Visit, user: User) -> None:
    with sheet(visit, f"Roles of {user.username}", "They count at once.") as dialog:
        with box("sheet-body"):
            roles = _role_boxes(user.roles)
        with box("sheet-foot"):
            button("Cancel", on_click=dialog.close)

            async def save() -> None:
                if await attempt(visit, lambda: visit.rest.set_roles(user.username, roles())):
                    dialog.close()

            button("Save", kind="primary", on_click=visit.steady(save)).mark("confirm")
    dialog.open()


async def _reset(visit: Visit, user: User) -> None:
    name = user.username
    if await sure(
        visit,
        f"Reset the password of {name}?",
        "A new one is made, and their sessions end.",
        "Reset",
    ):
        made = await attempt(visit, lambda: visit.rest.reset_password(name))
        if made is not None:
            _show_password(visit, made)


async def _deactivate(visit: Visit, user: User) -> None:
    if await sure(
        visit,
        f"Deactivate {user.username}?",
        "Their sessions end now and their clients open nothing. Votes stay on record.",
        "Deactivate",
    ):
        await _set_active(visit, user, active=False)


async def _set_active(visit: Visit, user: User, *, active: bool) -> None:
    if await attempt(visit, lambda: visit.rest.set_active(user.username, active=active)):
        visit.tell(f"{user.username} is {'active' if active else 'inactive'}")


def _role_boxes(chosen: Collection[Role]) -> Callable[[], list[Role]]:
    """Answers what is ticked."""
    text("Roles", "label", "div")
    boxes = {
        role: ui.checkbox(f"{role}: {_MEANINGS[role]}", value=role in chosen).props("dense")
        for role in Role
    }
    return lambda: [role for role, ticked in boxes.items() if ticked.value]


def _show_password(visit: Visit, made: NewPassword) -> None:
    shown_once(
        visit,
        f"Password of {made.user.username}",
        "It is shown only now. They should choose another one after signing in.",
        made.password or "",
    )
