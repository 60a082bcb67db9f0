"""Stands before NiceGUI: host, origin and session, for HTTP and for the websocket alike."""

import re
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.plain import message_page
from ui.problems import ApiProblem
from ui.sessions import cookie_in
from ui.visitor import Visitor

LOGIN = "/login"
SOCKET = "/_nicegui_ws"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PORT = re.compile(r":\d+$")
_POLICY_VIOLATION = 1008
_TRY_AGAIN_LATER = 1013

# NiceGUI evaluates strings in the browser, so inline and eval cannot be forbidden here.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Pure ASGI, because Starlette's ``BaseHTTPMiddleware`` never sees a websocket."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str],
        public: tuple[str, ...],
        visitor_of: Callable[[str | None], Awaitable[Visitor | None]],
        cookie: str,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._public = public
        self._visitor_of = visitor_of
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            down = refusal.status_code == 503
            code = _TRY_AGAIN_LATER if down else _POLICY_VIOLATION
            await send({"type": "websocket.close", "code": code})
        else:
            await refusal(scope, receive, _with_headers(send))

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        path = scope["path"]
        if not _host_allowed(headers.get("host", ""), self._hosts):
            return message_page(
                "This address is not served here",
                "Open the panel under its own address; an operator adds others with "
                "MCPBOX_PUBLIC_HOSTS.",
                status=421,
            )
        live = scope["type"] == "websocket" or path.startswith(SOCKET)
        if (live or scope["method"] not in _SAFE) and not _same_origin(headers):
            return message_page(
                "This request came from another site",
                "It was refused and nothing was changed. Open the panel and try again there.",
                status=403,
            )
        if path.startswith(self._public):
            return None
        token = cookie_in(headers.get("cookie", ""), self._cookie)
        try:
            visitor = await self._visitor_of(token)
        except ApiProblem as problem:
            return message_page(problem.title, problem.detail, status=503, way=("Try again", "/"))
        if visitor:
            return None
        if not live and "text/html" in headers.get("accept", ""):
            return RedirectResponse(LOGIN, status_code=303)
        return message_page(
            "Sign in first", "Your session has ended.", status=401, way=("Sign in", LOGIN)
        )


def _host_allowed(host: str, allowed: frozenset[str]) -> bool:
    """Entries of the allow-list may be names (any port) or ``name:port``."""
    host = host.lower()
    return host in allowed or _PORT.sub("", host) in allowed


def _same_origin(headers: Headers) -> bool:
    """Browsers send no Origin with a same-origin GET, but say the same in ``Sec-Fetch-Site``."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "same-origin"
    return origin.partition("://")[2] == headers.get("host", "")


def _with_headers(send: Send) -> Send:
    async def out(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return out
