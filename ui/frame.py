"""The shell around every page: navigation, health, who is signed in, and the colour scheme."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import copy
from functools import partial
from typing import NamedTuple

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from mcpbox.domain.requests import State
from ui.parts import attributes, box, icon, link, symbol, text
from ui.password import ask_for_password
from ui.plain import SCHEME_COOKIE
from ui.rest import ServiceState
from ui.visit import Visit
from ui.visitor import Visitor
from ui.words import initials

TICK_S = 15.0
_YEAR_S = 365 * 24 * 3600


class NavItem(NamedTuple):
    key: str
    path: str
    label: str
    icon: str


NAVIGATION = (
    (
        "Operate",
        (
            NavItem("overview", "/", "Overview", "layout-dashboard"),
            NavItem("approvals", "/approvals", "Approvals", "inbox"),
            NavItem("executions", "/executions", "Executions", "scroll-text"),
            NavItem("policy", "/policy", "Policy", "shield-check"),
            NavItem("audit", "/audit", "Audit", "link"),
            NavItem("people", "/people", "People", "user"),
            NavItem("notifications", "/notifications", "Notifications", "bell"),
            NavItem("delegations", "/delegations", "Deputies", "user-check"),
        ),
    ),
    (
        "Catalog",
        (
            NavItem("servers", "/servers", "Servers", "server"),
            NavItem("tools", "/tools", "Tools", "wrench"),
            NavItem("sources", "/sources", "Sources", "plug"),
        ),
    ),
)
_SCHEMES: tuple[tuple[bool | None, str, str], ...] = (
    (None, "System", "monitor"),
    (False, "Light", "sun"),
    (True, "Dark", "moon"),
)


class Top(NamedTuple):
    """Places in the bar above a page that the page may fill."""

    bar: Element
    title: TextElement

    def name(self, name: str) -> None:
        """The page is about one thing, and this is its name."""
        self.title.set_text(name)
        ui.page_title(f"{name} · mcpbox")


@asynccontextmanager
async def frame(visit: Visit, active: str, title: str) -> AsyncGenerator[Top]:
    item = next(item for _, items in NAVIGATION for item in items if item.key == active)
    waiting = await visit.rest.requests((State.AWAITING_DECISION,), page_size=1)
    unread = await visit.rest.unread()
    scheme = _Scheme(visit)
    ui.query(".q-page").style("min-height: 0")
    with box("frame"):
        with box("side", "nav", aria_label="Main"):
            with link("/", "brand"):
                with box("brand-mark"):
                    icon("package")
                text("mcpbox", "t")
            _navigation(visit, active, waiting.total, unread)
            with box("side-foot"):
                health = _Health()
                health.show(visit.panel.services)
                _account(visit)
        with box("main"):
            with box("top", "header"):
                if item.label != title:
                    with link(item.path, "crumb"):
                        text(item.label)
                    icon("chevron-right", "i-14 faint")
                heading = text(title, "ellipsis grow", "h1")
                bar = box("line-row")
                scheme.menu()
                _change_password(visit, "only-narrow")
                _sign_out("only-narrow")
            with box("content"):
                yield Top(bar, heading)

    async def tick() -> None:
        if not await visit.still_signed_in():
            return
        visit.renew_stamps()
        await visit.hear_health()
        health.show(visit.panel.services)

    ui.timer(TICK_S, tick)


def _navigation(visit: Visit, active: str, waiting: int, unread: int) -> None:
    for group, items in NAVIGATION:
        with box("nav-group", role="group", aria_label=group):
            text(group, "nav-label", "div")
            for item in items:
                if not _is_for(visit.visitor, item.key):
                    continue
                with link(item.path, "nav-item", title=item.label) as entry:
                    icon(item.icon)
                    text(item.label, "t")
                    if item.key == "approvals":
                        _waiting_count(visit, waiting)
                    if item.key == "notifications":
                        _unread_count(visit, unread)
                if item.key == active:
                    entry.classes("on")
                    attributes(entry, {"aria-current": "page"})
    # On a narrow screen the bar scrolls, and the page one is on should be in sight.
    ui.run_javascript("document.querySelector('.nav-item.on')?.scrollIntoView({inline: 'center'})")


def _is_for(visitor: Visitor, key: str) -> bool:
    """A courtesy: the API decides by itself."""
    return {"audit": visitor.may_read_audit, "people": visitor.is_admin}.get(key, True)


def _waiting_count(visit: Visit, waiting: int) -> None:
    count = text(str(waiting), "nav-count", title="Requests that wait for a decision")
    count.set_visibility(waiting > 0)

    async def recount() -> None:
        page = await visit.rest.requests((State.AWAITING_DECISION,), page_size=1)
        count.set_text(str(page.total))
        count.set_visibility(page.total > 0)

    visit.follow(frozenset({"requests"}), recount)


def _unread_count(visit: Visit, unread: int) -> None:
    count = text(str(unread), "nav-count", title="Notifications that you have not read")
    count.set_visibility(unread > 0)

    async def recount() -> None:
        now = await visit.rest.unread()
        count.set_text(str(now))
        count.set_visibility(now > 0)

    visit.follow(frozenset({"notices"}), recount)


class _Health:
    """What the services report of themselves; built again only when that changed."""

    def __init__(self) -> None:
        self._place = box("health", role="status", aria_label="Health of the services")
        self._shown: tuple[ServiceState, ...] | None = None

    def show(self, services: tuple[ServiceState, ...]) -> None:
        if services == self._shown:
            return
        self._shown = services
        self._place.clear()
        with self._place:
            if not services:
                with box("health-row"):
                    box("dot unknown")
                    text("Asking the services …", "faint t")
            for service in services:
                self._row(service)

    def _row(self, service: ServiceState) -> None:
        detail = f" ({service.detail})" if service.detail else ""
        with box(f"health-row {service.state}", title=f"{service.name}: {service.state}{detail}"):
            box(f"dot {service.state}", role="img", aria_label=service.state)
            text(service.name, "grow t ellipsis")
            note = (service.detail or service.state) if service.state == "ok" else service.state
            text(note, "note t ellipsis")


def _account(visit: Visit) -> None:
    name = visit.visitor.username
    with box("who"):
        text(initials(name), "face", "div", aria_hidden="true")
        with box("t grow"):
            text(name, "who-name ellipsis", "div", title=name)
            roles = ", ".join(sorted(visit.visitor.roles)) or "no role"
            text(roles.capitalize(), "who-roles ellipsis", "div", title=roles)
        _change_password(visit, "")
        _sign_out("")


def _change_password(visit: Visit, classes: str) -> None:
    with box(f"plain-button {classes}".rstrip(), "button", type="button") as change:
        attributes(change, {"aria-label": "Change password", "title": "Change password"})
        icon("key-round")
    change.on("click", lambda: ask_for_password(visit), [])


def _sign_out(classes: str) -> None:
    """A form, so that it works without a script and carries an origin that the guard can check."""
    with (
        box(classes, "form", method="post", action="/logout"),
        box("plain-button", "button", type="submit", aria_label="Sign out", title="Sign out"),
    ):
        icon("log-out")


class _Scheme:
    """Light, dark, or what the system says; known before the first paint, so nothing flashes."""

    def __init__(self, visit: Visit) -> None:
        remembered = visit.request.cookies.get(SCHEME_COOKIE)
        self._value = {"light": False, "dark": True}.get(remembered or "")
        visit.client.page = copy(visit.client.page)
        visit.client.page.dark = self._value
        self._dark = ui.dark_mode(self._value)

    def menu(self) -> None:
        with ui.button(color=None).classes("btn ghost icon-only") as opener:
            opener.props('flat no-caps :ripple=false aria-label="Colour scheme"')
            opener.props["icon"] = symbol(self._icon())
            with ui.menu() as menu:
                attributes(menu, {"role": "menu", "aria-label": "Colour scheme"})
                ticks = [self._item(value, label, name) for value, label, name in _SCHEMES]

        def choose(value: bool | None) -> None:
            self._value = value
            self._dark.set_value(value)
            opener.props["icon"] = symbol(self._icon())
            for (item, tick), (own, _, _) in zip(ticks, _SCHEMES, strict=True):
                tick.set_visibility(own is value)
                attributes(item, {"aria-checked": str(own is value).lower()})
            self._remember()
            menu.close()

        for (item, _), (value, _, _) in zip(ticks, _SCHEMES, strict=True):
            item.on("click", partial(choose, value), [])

    def _item(self, value: bool | None, label: str, name: str) -> tuple[Element, Element]:
        on = value is self._value
        with box("menu-item", "button", type="button", role="menuitemradio") as item:
            attributes(item, {"aria-checked": str(on).lower()})
            icon(name)
            text(label)
            tick = icon("check", "tick")
            tick.set_visibility(on)
        return item, tick

    def _icon(self) -> str:
        return next(name for value, _, name in _SCHEMES if value is self._value)

    def _remember(self) -> None:
        """In a cookie that says nothing else: the sign-in page reads it too."""
        name = {None: "", False: "light", True: "dark"}[self._value]
        age = _YEAR_S if name else 0
        ui.run_javascript(
            f"document.cookie='{SCHEME_COOKIE}={name};path=/;max-age={age};samesite=strict'"
        )
