"""The credentials of MCP clients, beside the people whom they act for."""

from collections.abc import Sequence
from functools import partial

from nicegui import ui

from mcpbox.domain.base import utc_now
from mcpbox.domain.people import Client, ClientState, NewClient, Scope
from ui.pages.sheets import attempt, sheet, shown_once, sure
from ui.parts import attributes, blank, box, button, state_badge, text
from ui.tables import table
from ui.visit import Visit
from ui.words import Tone

_COLUMNS = (
    ("Client", ""),
    ("Owner", ""),
    ("May", ""),
    ("State", ""),
    ("Last seen", "optional"),
    ("", "right"),
)
_STATES: dict[ClientState, tuple[str, Tone]] = {
    ClientState.LIVE: ("Live", "good"),
    ClientState.EXPIRED: ("Expired", "idle"),
    ClientState.REVOKED: ("Revoked", "idle"),
}
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
    state = client.state_at(utc_now())
    with box("", "tr"):
        with box("main-cell", "td"):
            text(client.name, "strong")
        text(client.owner, "", "td")
        with box("", "td"):
            text(", ".join(sorted(client.scopes)))
            if client.servers:
                text(f"on {', '.join(sorted(client.servers))} alone", "faint small", "div")
        with box("", "td"):
            state_badge(_STATES[state])
            if state is ClientState.LIVE and client.expires_at is not None:
                with box("faint small"):
                    text("ends ")
                    visit.stamp(client.expires_at, relative=True)
        with box("optional", "td"):
            if client.last_seen_at is None:
                text("never", "faint")
            else:
                visit.stamp(client.last_seen_at, "faint", relative=True)
        with box("num right", "td"), box("line-row end wrap"):
            if state is not ClientState.REVOKED:
                button("New token", on_click=partial(_rotate, visit, client))
                act = visit.steady(partial(_revoke, visit, client))
                button("Revoke", kind="danger-plain", on_click=act)


def _add(visit: Visit) -> None:
    with sheet(visit, "Add a client", "Its token is made now, and shown once.") as dialog:
        with box("sheet-body"):
            name = _field("Name", "laptop")
            text("It may", "label", "div")
            boxes = {
                scope: ui.checkbox(_MEANINGS[scope].capitalize(), value=True).props("dense")
                for scope in Scope
            }
            servers = _field("Only tools of these servers", "all; names, with commas between")
            days = _field("Good for so many days", "until it is revoked")
        with box("sheet-foot"):
            button("Cancel", on_click=dialog.close)

            async def add() -> None:
                scopes = [scope for scope, ticked in boxes.items() if ticked.value]
                only = [part.strip() for part in (servers.value or "").split(",") if part.strip()]
                made = await attempt(
                    visit,
                    lambda: visit.rest.create_client(
                        name.value or "", scopes, days=days.value or "", servers=only
                    ),
                )
                if made is not None:
                    dialog.close()
                    _show_token(visit, made)

            button("Add", kind="primary", on_click=visit.steady(add)).mark("confirm")
    dialog.open()


def _rotate(visit: Visit, client: Client) -> None:
    said = "Its present token ends at once, or after the minutes that you give it."
    with sheet(visit, f"A new token for {client.name}", said) as dialog:
        with box("sheet-body"):
            grace = _field("Minutes for which the present token stays good", "0")
            days = _field("Good for so many days", "as long as the present one")
        with box("sheet-foot"):
            button("Cancel", on_click=dialog.close)

            async def rotate() -> None:
                made = await attempt(
                    visit,
                    lambda: visit.rest.rotate_client(
                        client.name, grace_minutes=grace.value or "", days=days.value or ""
                    ),
                )
                if made is not None:
                    dialog.close()
                    _show_token(visit, made)

            button("Make it", kind="primary", on_click=visit.steady(rotate)).mark("confirm")
    dialog.open()


def _show_token(visit: Visit, made: NewClient) -> None:
    shown_once(
        visit,
        f"Token of {made.client.name}",
        "It is shown only now. The client sends it as a bearer token.",
        made.token,
    )


def _field(label: str, placeholder: str) -> ui.input:
    text(label, "label", "div")
    field = ui.input(placeholder=placeholder).classes("field")
    field.props("outlined dense autocomplete=off spellcheck=false")
    attributes(field, {"aria-label": label})
    return field


async def _revoke(visit: Visit, client: Client) -> None:
    if await sure(
        visit,
        f"Revoke {client.name}?",
        "Its token is worthless at once, and what it is connected to ends. Its tools stay.",
        "Revoke",
    ) and await attempt(visit, lambda: visit.rest.revoke_client(client.name)):
        visit.tell(f"{client.name} is revoked")
