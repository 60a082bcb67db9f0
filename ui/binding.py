"""Binds every socket to the browser tab and the session it belongs to.

NiceGUI takes the ``client_id`` inside a message at its word: any socket could fire the events of
another visitor's page. Here a message counts only from a socket in the room of that page, and a
socket enters a room only with the session that opened the page.
"""

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qs

from nicegui import Client, core
from socketio.exceptions import ConnectionRefusedError as SocketRefused

from ui.sessions import cookie_in

Handler = Callable[..., Any]
_NAMESPACE = "/"
_FROM_PAGES = ("event", "javascript_response", "ack", "log")


def bind_sockets(cookie: str) -> None:
    """Once per process, after NiceGUI has registered its own handlers."""
    handlers = cast("dict[str, Handler]", core.sio.handlers[_NAMESPACE])
    for name in _FROM_PAGES:
        handlers[name] = _only_from_its_room(handlers[name])
    connect, handshake = handlers["connect"], handlers["handshake"]

    async def bound_connect(sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        client_id = parse_qs(environ.get("QUERY_STRING", "")).get("client_id", [""])[0]
        if not _same_session(environ, client_id, cookie):
            # The browser reloads the page on exactly this message, and meets the guard.
            raise SocketRefused("Implicit handshake failed")
        await connect(sid, environ, auth)

    async def bound_handshake(sid: str, data: dict[str, Any]) -> bool:
        environ = cast("dict[str, Any] | None", core.sio.get_environ(sid))
        if environ is None or not _same_session(environ, str(data.get("client_id")), cookie):
            return False
        return bool(await handshake(sid, data))

    handlers["connect"], handlers["handshake"] = bound_connect, bound_handshake


def _only_from_its_room(handler: Handler) -> Handler:
    def bound(sid: str, message: dict[str, Any]) -> Any:
        if message.get("client_id") in core.sio.rooms(sid):
            return handler(sid, message)
        return None

    return bound


def _same_session(environ: dict[str, Any], client_id: str, cookie: str) -> bool:
    client = Client.instances.get(client_id)
    if client is None:
        return True  # NiceGUI answers that by itself: the browser reloads
    token = cookie_in(environ.get("HTTP_COOKIE", ""), cookie)
    return token is not None and token == client.request.cookies.get(cookie)
