from typing import Any, cast

import pytest
from nicegui import Client, core
from socketio.exceptions import ConnectionRefusedError as SocketRefused

from ui.binding import bind_sockets

COOKIE = "mcpbox"
OWN, FOREIGN = "socket-of-ana", "socket-of-mallory"


class Request:
    cookies = {COOKIE: "token-of-ana"}  # noqa: RUF012 - never changed


class OpenPage:
    request = Request()


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """NiceGUI's handlers, replaced by a list of what reached them: (handler, socket)."""
    calls: list[tuple[str, str]] = []

    def handler(name: str) -> Any:
        def record(sid: str, _: Any) -> str:
            calls.append((name, sid))
            return "handled"

        return record

    def opening(name: str) -> Any:
        async def record(sid: str, *_: Any) -> bool:
            calls.append((name, sid))
            return True

        return record

    handlers = {name: handler(name) for name in ("event", "javascript_response", "ack", "log")}
    handlers |= {name: opening(name) for name in ("connect", "handshake")}
    environs = {OWN: cookie("token-of-ana"), FOREIGN: cookie("token-of-mallory")}
    rooms = {OWN: [OWN, "page-of-ana"], FOREIGN: [FOREIGN, "page-of-mallory"]}
    monkeypatch.setitem(cast("dict[str, Any]", core.sio.handlers), "/", handlers)
    monkeypatch.setattr(core.sio, "rooms", rooms.__getitem__)
    monkeypatch.setattr(core.sio, "get_environ", environs.__getitem__)
    monkeypatch.setitem(Client.instances, "page-of-ana", cast("Client", OpenPage()))
    bind_sockets(COOKIE)
    return calls


def cookie(token: str) -> dict[str, str]:
    return {"HTTP_COOKIE": f"{COOKIE}={token}", "QUERY_STRING": "client_id=page-of-ana"}


def bound(name: str) -> Any:
    return core.sio.handlers["/"][name]


@pytest.mark.parametrize("name", ["event", "javascript_response", "ack", "log"])
def test_a_message_for_the_page_of_another_socket_reaches_nothing(
    reached: list[tuple[str, str]], name: str
) -> None:
    message = {"client_id": "page-of-ana"}

    assert bound(name)(FOREIGN, message) is None
    assert bound(name)(FOREIGN, {}) is None
    assert reached == []
    assert bound(name)(OWN, message) == "handled"
    assert reached == [(name, OWN)]


async def test_a_socket_of_another_session_cannot_take_over_a_page(
    reached: list[tuple[str, str]],
) -> None:
    assert not await bound("handshake")(FOREIGN, {"client_id": "page-of-ana"})
    with pytest.raises(SocketRefused, match="Implicit handshake failed"):
        await bound("connect")(FOREIGN, cookie("token-of-mallory"))
    with pytest.raises(SocketRefused):
        await bound("connect")(FOREIGN, {"QUERY_STRING": "client_id=page-of-ana"})
    assert reached == []


async def test_the_session_that_opened_a_page_connects_to_it(
    reached: list[tuple[str, str]],
) -> None:
    await bound("connect")(OWN, cookie("token-of-ana"))

    assert await bound("handshake")(OWN, {"client_id": "page-of-ana"})
    assert reached == [("connect", OWN), ("handshake", OWN)]
