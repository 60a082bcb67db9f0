"""Puts the panel into the admin process."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import fastapi
from fastapi import Request
from nicegui import Client, ui
from nicegui import app as nicegui_app
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ui.assets import ASSETS, SHEETS, STATIC, stylesheets
from ui.binding import bind_sockets
from ui.frame import NAVIGATION, Top, frame
from ui.guard import LOGIN, Guard
from ui.live import Live
from ui.login import login_routes
from ui.pages.approvals import approvals_page
from ui.pages.audit import audit_event_page, audit_page
from ui.pages.connecting import BACK, connected_page, connecting_routes
from ui.pages.delegations import delegations_page
from ui.pages.executions import execution_page, executions_page
from ui.pages.notifications import notifications_page
from ui.pages.overview import overview_page
from ui.pages.people import people_page
from ui.pages.policy import policy_page
from ui.pages.servers import server_page, servers_page
from ui.pages.source import source_page
from ui.pages.sources import sources_page
from ui.pages.tool import tool_page
from ui.pages.tools import tools_page
from ui.parts import blank, box, link, text
from ui.plain import SCHEME_COOKIE, message_page
from ui.problems import ApiProblem, SignedOut
from ui.sessions import Api, Sessions, cookie_name
from ui.visit import Panel, Visit

RESPONSE_TIMEOUT_S = 15.0
_BROWSER_COOKIE = "mcpbox_browser"

Build = Callable[[Visit, Top], Awaitable[None]]


class Route(NamedTuple):
    path: str
    title: str
    active: str
    build: Build


_START = {item.key: item.path for _, items in NAVIGATION for item in items}
ROUTES = (
    Route("/", "Overview", "overview", overview_page),
    Route("/approvals", "Approvals", "approvals", approvals_page),
    Route("/executions", "Executions", "executions", executions_page),
    Route("/executions/{execution_id}", "Execution", "executions", execution_page),
    Route("/policy", "Policy", "policy", policy_page),
    Route("/audit", "Audit", "audit", audit_page),
    Route("/audit/{sequence}", "Event", "audit", audit_event_page),
    Route("/people", "People", "people", people_page),
    Route("/notifications", "Notifications", "notifications", notifications_page),
    Route("/delegations", "Deputies", "delegations", delegations_page),
    Route("/servers", "Servers", "servers", servers_page),
    Route("/servers/{server_id}", "Server", "servers", server_page),
    Route("/sources", "Sources", "sources", sources_page),
    Route("/sources/connected", "Signing in", "sources", connected_page),
    Route("/sources/{source_id}", "Source", "sources", source_page),
    Route("/tools", "Tools", "tools", tools_page),
    Route("/tools/{tool_id}", "Tool", "tools", tool_page),
)


def install(
    app: fastapi.FastAPI,
    *,
    api: Api,
    live: Live,
    allowed_hosts: frozenset[str],
    storage_secret: str,
    secure_cookie: bool,
) -> None:
    """Mount the panel at ``/``; once per process, after all other routes of ``app``.

    ``api`` makes an HTTP client whose base address ends in ``/api/v1/`` and that carries the given
    token. ``allowed_hosts`` holds names, or ``name:port``.
    """
    cookie = cookie_name(secure=secure_cookie)
    sessions = Sessions(api)
    panel = Panel(api=api, live=live, sessions=sessions, cookie=cookie)

    nicegui_app.add_static_files(ASSETS, STATIC)
    nicegui_app.colors(primary="#5453d0", negative="#bb2533", dark_page="#0d0d10")
    ui.add_head_html(stylesheets(SHEETS), shared=True)
    nicegui_app.include_router(connecting_routes())
    nicegui_app.include_router(login_routes(api, sessions, cookie=cookie, secure=secure_cookie))
    for route in ROUTES:
        _add(route, panel)
    nicegui_app.add_exception_handler(404, _not_found)
    nicegui_app.on_page_exception(_page_failed)
    ui.run_with(
        app,
        title="mcpbox",
        favicon=STATIC / "favicon.svg",
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        storage_secret=storage_secret,
        session_middleware_kwargs={
            "session_cookie": _BROWSER_COOKIE,
            "same_site": "strict",
            "https_only": secure_cookie,
        },
    )
    bind_sockets(cookie)
    # Added last, so outermost: nothing of NiceGUI runs before it.
    nicegui_app.add_middleware(
        Guard,
        hosts=allowed_hosts,
        public=(LOGIN, BACK, "/assets/", "/favicon.ico"),
        visitor_of=sessions.visitor,
        cookie=cookie,
    )


def _add(route: Route, panel: Panel) -> None:
    @ui.page(route.path, title=f"{route.title} · mcpbox", response_timeout=RESPONSE_TIMEOUT_S)
    async def visited(request: Request, client: Client) -> Response | None:
        try:
            visit = await panel.visit(request, client)
            client.on_exception(visit.tell_of_failure)
            async with frame(visit, route.active, route.title) as top:
                await _build(route, visit, top)
        except SignedOut:
            return RedirectResponse(LOGIN, status_code=303)
        except ApiProblem as problem:
            scheme = request.cookies.get(SCHEME_COOKIE)
            return message_page(
                problem.title,
                problem.detail,
                status=problem.status,
                way=("Try again", request.url.path),
                scheme=scheme,
            )
        return None


async def _build(route: Route, visit: Visit, top: Top) -> None:
    """A problem with what this page shows is told inside the shell, which works without it."""
    try:
        await route.build(visit, top)
    except SignedOut:
        raise
    except ApiProblem as problem:
        visit.client.status_code = problem.status
        with (
            box("page scroll"),
            box("card problem"),
            blank("triangle-alert", problem.title, problem.detail),
            link(_START[route.active]),
        ):
            text("Back to the list")


def _not_found(request: Request, problem: Exception) -> HTMLResponse:
    del problem
    return message_page(
        "There is nothing at this address",
        "It may be mistyped, or what was here is gone.",
        status=404,
        way=("Back to the overview", "/"),
        scheme=request.cookies.get(SCHEME_COOKIE),
    )


def _page_failed() -> None:
    """In place of NiceGUI's page, which would show the exception."""
    with box("plain"), box("card"):
        text("This page could not be built", tag="h1")
        text("The failure is in the log of the admin process. Reload to try again.", "muted", "p")
        with link("/", "go"):
            text("Back to the overview")
