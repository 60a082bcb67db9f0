"""The external sources: other MCP servers whose tools are called through this one."""

from nicegui import ui

from mcpbox.domain.base import Page
from mcpbox.domain.external_sources import ExternalSource, SourceDetail
from mcpbox.domain.upstreams import Authentication, Transport
from ui.frame import Top
from ui.pages.sheets import attempt, sheet
from ui.parts import attributes, blank, box, button, state_badge, text
from ui.section import Section
from ui.tables import pager, row_link, table
from ui.visit import Visit
from ui.words import SOURCE_STATES

_COLUMNS = (
    ("Source", ""),
    ("State", ""),
    ("Offered", "num right"),
    ("Released", "num right"),
    ("Looked at", "num right optional"),
)
_TRANSPORTS = {
    Transport.STREAMABLE_HTTP: "At an address, by Streamable HTTP",
    Transport.STDIO: "A Python module, run in the sandbox",
}
_AUTHENTICATIONS = {
    Authentication.NONE: "Nothing",
    Authentication.BEARER: "A secret, as a bearer token",
    Authentication.HEADER: "A secret, in a header of its own",
    Authentication.OAUTH: "OAuth, connected by a person",
}


async def sources_page(visit: Visit, top: Top) -> None:
    if visit.visitor.may_switch:
        with top.bar:
            button("Add a source", name="plug", on_click=lambda: _ask(visit)).mark("add-source")

    def show(page: Page[ExternalSource]) -> None:
        with box("card"):
            if not page.items and page.total == 0:
                blank(
                    "plug",
                    "No external source yet",
                    "Tools of other MCP servers are approved here one by one, like your own, and "
                    "called through this gateway. Add one here, or have a connected LLM use "
                    "mcpbox_add_external_source.",
                )
                return
            with table("Sources", _COLUMNS):
                for source in page.items:
                    _row(visit, source)
            pager(visit, page)

    with box("page scroll"):
        section = Section(
            visit, lambda: visit.rest.sources(page=visit.page_number), show, "page-wide"
        )
        await section.refresh()
    visit.follow(frozenset({"catalog", "sources"}), section.refresh)


def _row(visit: Visit, source: ExternalSource) -> None:
    with box("", "tr"):
        with box("main-cell", "td"):
            row_link(source.server_name, f"/sources/{source.id}")
            text(source.endpoint.label, "sub mono", title=source.endpoint.label)
        with box("", "td"):
            state_badge(SOURCE_STATES[source.state])
            if source.problem:
                text(source.problem, "sub why", title=source.problem)
        text(str(source.offered_count), "num", "td")
        text(str(source.released_count), "num", "td")
        with box("num optional faint", "td"):
            if source.checked_at is None:
                text("never")
            else:
                visit.stamp(source.checked_at, relative=True)


def _ask(visit: Visit) -> None:
    said = "Nothing of it is reached before people have granted what it needs."
    with sheet(visit, "Add a source", said) as dialog:
        with box("sheet-body"):
            name = _field("Name", "weather")
            text("", "faint small", "p").bind_text_from(
                name, "value", lambda value: f"Its tools are called {value or 'weather'}__…"
            )
            text("Where it is", "label", "div")
            transport = ui.select(_TRANSPORTS, value=Transport.STREAMABLE_HTTP)
            _as_field(transport, "Where it is")
            with box("part") as over_http:
                url = _field("Address", "https://mcp.example.com/mcp")
                text("What proves to it who asks", "label", "div")
                authentication = ui.select(_AUTHENTICATIONS, value=Authentication.NONE)
                _as_field(authentication, "What proves to it who asks")
                with box("part") as proof:
                    secret = _field("Name of the secret", "WEATHER_TOKEN")
                proof.bind_visibility_from(authentication, "value", lambda v: v != "none")
                with box("part") as in_header:
                    header = _field("Header", "X-API-Key")
                in_header.bind_visibility_from(authentication, "value", value="header")
            over_http.bind_visibility_from(transport, "value", value=Transport.STREAMABLE_HTTP)
            with box("part") as over_stdio:
                module = _field("Module", "mcp_server_time")
                arguments = _field("Arguments", "--local-timezone UTC")
            over_stdio.bind_visibility_from(transport, "value", value=Transport.STDIO)
        with box("sheet-foot"):
            button("Cancel", on_click=dialog.close)

            def endpoint() -> dict[str, object]:
                if transport.value == Transport.STDIO:
                    args = (arguments.value or "").split()
                    return {"transport": "stdio", "module": module.value or "", "args": args}
                proves = authentication.value or "none"
                return {
                    "transport": "streamable_http",
                    "url": url.value or "",
                    "authentication": proves,
                    "secret_name": (secret.value or None) if proves != "none" else None,
                    "header_name": (header.value or None) if proves == "header" else None,
                }

            async def add() -> None:
                made: SourceDetail | None = await attempt(
                    visit, lambda: visit.rest.add_source(name.value or "", "", endpoint())
                )
                if made is not None:
                    dialog.close()
                    visit.client.open(f"/sources/{made.id}")

            button("Add", kind="primary", on_click=visit.steady(add)).mark("confirm")
    dialog.open()


def _field(label: str, placeholder: str) -> ui.input:
    text(label, "label", "div")
    field = ui.input(placeholder=placeholder)
    field.props("autocomplete=off spellcheck=false autocapitalize=none")
    _as_field(field, label)
    return field


def _as_field(field: ui.input | ui.select, label: str) -> None:
    field.classes("field").props("outlined dense")
    attributes(field, {"aria-label": label})
