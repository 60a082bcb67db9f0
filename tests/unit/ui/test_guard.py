from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from ui.guard import Guard
from ui.problems import ApiProblem
from ui.visitor import Visitor

COOKIE = "mcpbox"
GOOD = "good"
HOST = "panel.example:8000"


class Behind:
    """What stands behind the guard; remembers what it got to see."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})


async def visitor_of(token: str | None) -> Visitor | None:
    if token == "broken":
        raise ApiProblem(503, "A part of mcpbox does not answer", "Try again.")
    return Visitor(username="ana", roles=frozenset()) if token == "good" else None


async def ask(
    path: str,
    *,
    kind: str = "http",
    method: str = "GET",
    token: str | None = GOOD,
    **headers: str,
) -> tuple[list[Message], list[str]]:
    """What the guard sent, and which paths got through."""
    behind = Behind()
    guard = Guard(
        behind,
        hosts=frozenset({"panel.example"}),
        public=("/login", "/assets/"),
        visitor_of=visitor_of,
        cookie=COOKIE,
    )
    given = {"host": HOST, "accept": "text/html", **headers}
    if token:
        given["cookie"] = f"other=1; {COOKIE}={token}"
    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "query_string": b"",
        "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in given.items()],
    }
    if kind == "http":
        scope["method"] = method
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await guard(scope, receive, send)
    return sent, behind.seen


def header(message: Message, name: str) -> str:
    return dict(message["headers"]).get(name.encode(), b"").decode()


async def test_a_visitor_with_a_session_gets_in_and_gets_the_headers() -> None:
    sent, seen = await ask("/approvals")

    assert seen == ["/approvals"]
    assert "frame-ancestors 'none'" in header(sent[0], "content-security-policy")
    assert header(sent[0], "x-content-type-options") == "nosniff"


async def test_a_browser_without_a_session_is_sent_to_sign_in() -> None:
    sent, seen = await ask("/approvals", token=None)

    assert (sent[0]["status"], header(sent[0], "location"), seen) == (303, "/login", [])


async def test_a_session_that_is_not_valid_any_more_opens_nothing() -> None:
    sent, seen = await ask("/approvals", token="revoked", accept="application/json")

    assert (sent[0]["status"], seen) == (401, [])


async def test_signing_in_needs_no_session() -> None:
    _, seen = await ask("/login", token=None)

    assert seen == ["/login"]


@pytest.mark.parametrize("host", ["evil.example", "", "panel.example.evil.example", "[::1"])
async def test_a_foreign_host_is_not_served(host: str) -> None:
    """DNS rebinding: the browser believes that it talks to the attacker's own site."""
    sent, seen = await ask("/login", host=host)

    assert (sent[0]["status"], seen) == (421, [])


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://panel.example:9999", "http://panel.example"]
)
async def test_a_form_from_another_site_is_refused(origin: str) -> None:
    sent, seen = await ask("/login", method="POST", token=None, origin=origin)

    assert (sent[0]["status"], seen) == (403, [])


async def test_a_form_that_hides_its_origin_is_refused() -> None:
    _, seen = await ask("/logout", method="POST")

    assert seen == []


async def test_a_form_of_our_own_gets_in() -> None:
    _, seen = await ask("/login", method="POST", token=None, origin=f"http://{HOST}")

    assert seen == ["/login"]


SOCKET = "/_nicegui_ws/socket.io/"


async def test_a_websocket_of_our_own_gets_in() -> None:
    _, seen = await ask(SOCKET, kind="websocket", origin=f"http://{HOST}")

    assert seen == [SOCKET]


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_websocket_from_another_site_is_closed(origin: str) -> None:
    """NiceGUI itself accepts a socket from anywhere."""
    sent, seen = await ask(SOCKET, kind="websocket", origin=origin)

    assert (sent, seen) == ([{"type": "websocket.close", "code": 1008}], [])


async def test_a_websocket_without_a_session_is_closed() -> None:
    sent, seen = await ask(SOCKET, kind="websocket", token=None, origin=f"http://{HOST}")

    assert (sent[0]["type"], seen) == ("websocket.close", [])


async def test_a_websocket_without_an_origin_is_closed() -> None:
    sent, seen = await ask(SOCKET, kind="websocket")

    assert (sent[0]["type"], seen) == ("websocket.close", [])


async def test_polling_instead_of_a_websocket_is_held_to_the_same_rules() -> None:
    _, foreign = await ask(SOCKET, origin="https://evil.example")
    _, own = await ask(SOCKET, sec_fetch_site="same-origin")

    assert (foreign, own) == ([], [SOCKET])


async def test_when_the_api_cannot_tell_nobody_gets_in_and_nobody_is_signed_out() -> None:
    sent, seen = await ask("/approvals", token="broken")
    socket, _ = await ask(SOCKET, kind="websocket", token="broken", origin=f"http://{HOST}")

    assert (sent[0]["status"], seen) == (503, [])
    assert b"does not answer" in sent[1]["body"]
    assert socket == [{"type": "websocket.close", "code": 1013}]
