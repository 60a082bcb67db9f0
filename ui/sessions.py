"""Whether a token is a valid session: the API knows, and we remember its word for seconds."""

import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

import httpx

from ui.problems import SignedOut
from ui.rest import Rest
from ui.visitor import Visitor

Api = Callable[[str | None], httpx.AsyncClient]

REMEMBERED_S = 5.0
_MOST_REMEMBERED = 1000


class Sessions:
    def __init__(self, api: Api, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[str, tuple[Visitor, float]] = {}

    async def visitor(self, token: str | None) -> Visitor | None:
        """Who the token belongs to; ``None`` when it is no valid session.

        Raises: ApiProblem: the API could not tell.
        """
        if not token:
            return None
        now = self._clock()
        known = self._known.get(token)
        if known and now < known[1]:
            return known[0]
        self._known.pop(token, None)
        async with self._api(token) as client:
            try:
                visitor = await Rest(client).me()
            except SignedOut:
                return None
        if len(self._known) >= _MOST_REMEMBERED:
            self._known = {key: kept for key, kept in self._known.items() if now < kept[1]}
        self._known[token] = (visitor, now + REMEMBERED_S)
        return visitor

    def forget(self, token: str) -> None:
        """Ask the API again the next time."""
        self._known.pop(token, None)


def cookie_name(*, secure: bool) -> str:
    """The prefix makes browsers refuse the cookie from a subdomain or over plain http."""
    return "__Host-mcpbox" if secure else "mcpbox"


def cookie_in(header: str, name: str) -> str | None:
    """The value of one cookie in a ``Cookie`` header."""
    try:
        jar = SimpleCookie(header)
    except CookieError:
        return None
    return jar[name].value if name in jar else None
