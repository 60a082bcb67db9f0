"""One open page of one visitor: who they are, their access to data, and what keeps it fresh."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import ParamSpec
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request
from nicegui import Client, ui
from nicegui.elements.mixins.text_element import TextElement

from mcpbox.domain.texts import legible
from ui.guard import LOGIN
from ui.live import GAP_S, Live, Topic
from ui.parts import Stamp, stamp, symbol
from ui.problems import ApiProblem, SignedOut
from ui.rest import Rest, ServiceState
from ui.sessions import Api, Sessions
from ui.visitor import Visitor

Given = ParamSpec("Given")


class Panel:
    """What all visits share."""

    def __init__(self, *, api: Api, live: Live, sessions: Sessions, cookie: str) -> None:
        self.api = api
        self.live = live
        self.sessions = sessions
        self.cookie = cookie
        self.services: tuple[ServiceState, ...] = ()
        """As last heard by anybody, so that a page never waits for a slow answer about health."""

    async def visit(self, request: Request, client: Client) -> "Visit":
        """Raises: SignedOut: between the guard and here the session ended."""
        token = request.cookies.get(self.cookie)
        visitor = await self.sessions.visitor(token)
        if token is None or visitor is None:
            raise SignedOut(401, "Signed out", "Sign in again.")
        return Visit(self, client, request, token, visitor)


class Visit:
    def __init__(
        self, panel: Panel, client: Client, request: Request, token: str, visitor: Visitor
    ) -> None:
        self.panel = panel
        self.client = client
        self.request = request
        self.visitor = visitor
        self.rest = Rest(panel.api(token))
        self._token = token
        self._stamps: list[Stamp] = []
        client.on_delete(self.rest.close)

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query_params)

    @property
    def page_number(self) -> int:
        """Counted from 1; nonsense is page 1."""
        given = self.query.get("page", "1")
        return max(1, int(given)) if given.isdecimal() and len(given) < 9 else 1

    def path_id(self, name: str, noun: str) -> UUID:
        """Raises: ApiProblem: it is no id at all, so there is nothing of that id."""
        return self.an_id(str(self.request.path_params[name]), noun)

    def an_id(self, given: str, noun: str) -> UUID:
        try:
            return UUID(given)
        except ValueError as error:
            raise ApiProblem(
                404, f"There is no such {noun}", "The address is incomplete; start from the list."
            ) from error

    def here(self, **changes: str) -> str:
        """The address of this page with some of its query changed; empty values are left out."""
        query = {name: value for name, value in {**self.query, **changes}.items() if value}
        return self.request.url.path + (f"?{urlencode(query)}" if query else "")

    async def still_signed_in(self) -> bool:
        """Whether the session is valid; when it is not, the browser goes to sign in."""
        try:
            if await self.panel.sessions.visitor(self._token):
                return True
        except ApiProblem:
            return True  # nobody could tell; the next look will
        self.leave()
        return False

    def leave(self) -> None:
        self.panel.sessions.forget(self._token)
        self.client.open(LOGIN)

    def steady(self, handler: Callable[Given, Awaitable[None]]) -> Callable[Given, Awaitable[None]]:
        """For a handler that builds anew the place where its own button stands.

        NiceGUI runs it in that place, and has no page for it once the place is gone.
        """

        async def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
            with self.client:
                await handler(*args, **kwargs)

        return run

    def tell(self, message: str, *, ok: bool = True) -> None:
        """A toast. ``ui.notify`` shows it as text, never as markup."""
        ui.notify(
            legible(message),
            position="bottom-right",
            icon=symbol("circle-check" if ok else "circle-x"),
            classes="text-ok" if ok else "text-no",
            timeout=4000 if ok else 8000,
            multi_line=len(message) > 60,
        )

    def tell_of_failure(self) -> None:
        """For exceptions that nobody expected; NiceGUI has logged them."""
        self.tell("That failed on our side; the log of the admin process says more.", ok=False)

    def show_problem(self, problem: ApiProblem) -> None:
        if isinstance(problem, SignedOut):
            self.leave()
        else:
            self.tell(f"{problem.title}. {problem.detail}", ok=False)

    def follow(
        self,
        topics: frozenset[Topic],
        react: Callable[[], Awaitable[None]],
        *,
        gap_s: float = GAP_S,
    ) -> None:
        """Call ``react`` when one of the topics changed, until the browser leaves."""

        async def on_changes() -> None:
            try:
                await react()
            except ApiProblem as problem:
                self.show_problem(problem)

        self.panel.live.follow(self.client, topics, on_changes, gap_s=gap_s)

    def stamp(self, moment: datetime, classes: str = "", *, relative: bool = False) -> TextElement:
        """How long ago, kept true while the page is open."""
        made = stamp(moment, datetime.now(UTC), classes, relative=relative)
        self._stamps.append(made)
        return made[0]

    def renew_stamps(self) -> None:
        now = datetime.now(UTC)
        self._stamps = [made for made in self._stamps if not made[0].is_deleted]
        for element, moment, words in self._stamps:
            element.set_text(words(moment, now))

    async def hear_health(self) -> None:
        """What the services report; an API that cannot say it is itself the news."""
        try:
            self.panel.services = (await self.rest.system()).services
        except SignedOut:
            self.leave()
        except ApiProblem as problem:
            down = ServiceState(name="API", state="down", detail=problem.title)
            self.panel.services = (down,)
