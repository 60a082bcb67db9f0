"""Signing in at a source: going there, and coming back from there."""

from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request
from nicegui import ui
from starlette.responses import Response

from mcpbox.domain.external_sources import ExternalSource, SourceDetail
from mcpbox.domain.upstreams import Authentication, HttpEndpoint
from ui.frame import Top
from ui.pages.sheets import attempt, sheet
from ui.parts import box, button, callout, link, text
from ui.plain import SCHEME_COOKIE, message_page
from ui.problems import ApiProblem
from ui.visit import Visit

BACK = "/connected"
"""Public, for a browser that comes from another site does not say who is signed in here."""
_KEPT = ("state", "code", "iss", "error")
_SCHEMES = frozenset({"https", "http"})


def connecting_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(BACK)
    def come_back(request: Request) -> Response:
        kept = {name: value for name in _KEPT if (value := request.query_params.get(name))}
        return message_page(
            "Back from the source",
            "Go on in the panel to connect it with what you were given there.",
            status=200,
            way=("Go on", f"/sources/connected?{urlencode(kept)}"),
            scheme=request.cookies.get(SCHEME_COOKIE),
        )

    return router


async def connected_page(visit: Visit, top: Top) -> None:
    del top
    given = visit.query
    with box("page scroll"), box("page-wide"):
        if given.get("error") or not given.get("code"):
            callout(
                "critical",
                "circle-x",
                "The source did not let you in",
                "Nothing was changed; begin again on the page of the source.",
            )
        else:
            try:
                source = await visit.rest.finish_sign_in(
                    given.get("state", ""), given["code"], given.get("iss")
                )
            except ApiProblem as problem:
                callout("critical", "circle-x", "It could not be connected", problem.detail)
            else:
                callout("low", "circle-check", f"{source.server_name} is connected")
                with link(f"/sources/{source.id}"):
                    text("To the source")
                return
        with link("/sources"):
            text("To the sources")


def asks_for_sign_in(source: ExternalSource) -> bool:
    endpoint = source.endpoint
    return isinstance(endpoint, HttpEndpoint) and endpoint.authentication is Authentication.OAUTH


async def ask_where(visit: Visit) -> list[str] | None:
    """The hosts where people sign in besides the source's own; ``None``: thought better of it."""
    said = "Its tokens may be sent there and to the source itself, and nowhere else."
    with sheet(visit, "Where do people sign in for it?", said) as dialog:
        with box("sheet-body"):
            text("Host", "label", "div")
            hosts = ui.input(placeholder="the source's own; or login.example.com")
            hosts.classes("field").props('outlined dense autocomplete=off aria-label="Host"')
        with box("sheet-foot"):
            button("Cancel", on_click=lambda: dialog.submit(None))
            ask = button("Ask", kind="primary", on_click=lambda: dialog.submit(hosts.value or ""))
            ask.mark("confirm")
    answer: str | None = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    if answer is None:
        return None
    return [part.strip() for part in answer.split(",") if part.strip()]


async def connect(visit: Visit, source: SourceDetail) -> None:
    said = "You are led to where people sign in for it, and back. Its tokens are never shown."
    with sheet(visit, f"Connect {source.server_name}", said) as dialog:
        with box("sheet-body"):
            text(
                "Only where the source lets nobody register by itself: a client that was "
                "registered there, whose address to come back to is this panel's "
                f"{BACK}.",
                "faint small",
                "p",
            )
            text("Client", "label", "div")
            client_id = (
                ui.input(placeholder="usually none")
                .classes("field")
                .props("outlined dense autocomplete=off")
            )
            client_id.props('aria-label="Client"')
            text("Its secret", "label", "div")
            secret = ui.input(placeholder="usually none", password=True).classes("field")
            secret.props('outlined dense autocomplete=off aria-label="Its secret"')
        with box("sheet-foot"):
            button("Cancel", on_click=dialog.close)

            async def go() -> None:
                address = await attempt(
                    visit,
                    lambda: visit.rest.begin_sign_in(
                        source.id, client_id.value or "", secret.value or ""
                    ),
                )
                if address is None:
                    return
                if urlsplit(address).scheme not in _SCHEMES:
                    visit.tell("The source names no address to sign in at.", ok=False)
                    return
                dialog.close()
                visit.client.open(address)

            button("Go there", kind="primary", on_click=visit.steady(go)).mark("confirm")
    dialog.open()
