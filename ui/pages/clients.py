"""The credentials of MCP clients, beside the people whom they act for."""

from collections.abc import Sequence
from functools import partial

from nicegui import ui

from mcpbox.domain.people import Client, Scope
from ui.pages.sheets import attempt, sheet, shown_once, sure
from ui.parts import attributes, blank, box, button, state_badge, text
from ui.tables import table
from ui.visit import Visit

_COLUMNS = (
    ("Client", ""),
    ("Owner", ""),
    ("May", ""),
    ("State", ""),
    ("Last seen", "optional"),
    ("", "right"),
)
_MEANINGS = {Scope.AUTHOR: "write tools and ask", Scope.CALL: "call released tools"}


def clients_card(visit: Visit, clients: Sequence[Client]) -> None:
    with box("card", "section", aria_label="Clients"):
        with box("section-head"):
            text("Clients", "grow", "h2")
            button("Add a client", name="plug", on_click=lambda: _add(visit)).mark("add-client")
        if not clients:
            blank("plug", "No client yet", "An LLM connects with the token of one.")
            return
        with table("Clients", _COLUMNS):
            for client in clients:
                _row(visit, client)


def _row(visit: Visit, client: Client) -> None:
    live = client.revoked_at is None
    with box("", "tr"):
        with box("main-cell", "td"):
            text(client.name, "strong")
        text(client.owner, "", "td")
        text(", ".join(sorted(client.scopes)), "", "td")
        with box("", "td"):
            state_badge(("Live", "good") if live else ("Revoked", "idle"))
        with box("optional", "td"):
            if client.last_seen_at is None:
                text("never", "faint")
            else:
                visit.stamp(client.last_seen_at, "faint", relative=True)
        with box("num right", "td"):
            if live:
                act = visit.steady(partial(_revoke, visit, client))
                button("Revoke", kind="danger-plain", on_click=act)


def _add(visit: Visit) -> None:
    with sheet(visit, "Add a client", "Its token is made now, and shown once.") as dialog:
        with box("sheet-body"):
            text("Name", "label", "div")
            name = ui.input(placeholder="laptop").classes("field")
            name.props("outlined dense autofocus autocomplete=off spellcheck=false")
            attributes(name, {"aria-label": "Name"})
            text("It may", "label", "div")
            boxes = {
                scope: ui.checkbox(_MEANINGS[scope].capitalize(), value=True).props("dense")
                for scope in Scope
            }
        with box("sheet-foot"):
            button("Cancel", on_click=dialog.close)

            async def add() -> None:
                scopes = [scope for scope, ticked in boxes.items() if ticked.value]
                made = await attempt(
                    visit, lambda: visit.rest.create_client(name.value or "", scopes)
                )
                if made is not None:
                    dialog.close()
                    shown_once(
                        visit,
                        f"Token of {made.client.name}",
                        "It is shown only now. The client sends it as a bearer token.",
                        made.token,
                    )

            button("Add", kind="primary", on_click=visit.steady(add)).mark("confirm")
    dialog.open()


async def _revoke(visit: Visit, client: Client) -> None:
    if await sure(
        visit,
        f"Revoke {client.name}?",
        "Its token is worthless at once, and what it is connected to ends. Its tools stay.",
        "Revoke",
    ) and await attempt(visit, lambda: visit.rest.revoke_client(client.name)):
        visit.tell(f"{client.name} is revoked")
