"""Bad requests to REST, the gateway and the panel are answered in words, with the right status."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.desk import UNKNOWN, Desk, with_token
from tests.e2e.leaks import assert_tells_nothing_inside
from tests.factories import OTHER_DIGEST
from tests.instances import Installed
from tests.reviewing import Reviewer


def deciding(**changes: Any) -> dict[str, Any]:
    draft = {"id": str(uuid4()), "verdict": "deny", "reason": "No.", "seen_digest": "$digest"}
    return {"json": draft | changes}


def raw(content: bytes | str, content_type: str = "application/json") -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": content_type}}


LOGIN = "/auth/login"
WAITING = "/requests/{waiting_id}"
REST: dict[str, tuple[str, str, dict[str, Any], int, tuple[str, ...]]] = {
    "a stale digest": (
        "POST",
        f"{WAITING}/decisions",
        deciding(seen_digest=OTHER_DIGEST),
        409,
        ("digest", "reload"),
    ),
    "a finished request": (
        "POST",
        "/requests/{finished_id}/decisions",
        deciding(seen_digest="$finished_digest"),
        409,
        ("denied", "no longer be decided"),
    ),
    "a denial without a reason": (
        "POST",
        f"{WAITING}/decisions",
        deciding(reason="  "),
        422,
        ("reason",),
    ),
    "a huge reason": (
        "POST",
        f"{WAITING}/decisions",
        deciding(reason="x" * 2001),
        422,
        ("reason", "2000"),
    ),
    "a reason with NUL": (
        "POST",
        f"{WAITING}/decisions",
        deciding(reason="a\x00b"),
        422,
        ("reason", "NUL"),
    ),
    "a withdrawal with NUL": (
        "POST",
        f"{WAITING}/withdrawal",
        {"json": {"reason": "a\x00b"}},
        422,
        ("reason", "NUL"),
    ),
    "an unknown verdict": (
        "POST",
        f"{WAITING}/decisions",
        deciding(verdict="maybe"),
        422,
        ("verdict", "approve"),
    ),
    "a digest that is none": (
        "POST",
        f"{WAITING}/decisions",
        deciding(seen_digest="abc"),
        409,
        ("digest", "reload"),
    ),
    "no digest": (
        "POST",
        f"{WAITING}/decisions",
        deciding(seen_digest=""),
        422,
        ("seen_digest",),
    ),
    "a decision id that is none": (
        "POST",
        f"{WAITING}/decisions",
        deciding(id=""),
        422,
        ("id", "UUID"),
    ),
    "an unknown field": (
        "POST",
        f"{WAITING}/decisions",
        deciding(reviewer="ana"),
        422,
        ("reviewer",),
    ),
    "an empty decision": ("POST", f"{WAITING}/decisions", {"json": {}}, 422, ("verdict",)),
    "a decision that is a list": ("POST", f"{WAITING}/decisions", {"json": []}, 422, ("body",)),
    "no decision": ("POST", f"{WAITING}/decisions", {}, 422, ("body",)),
    "an unknown request": ("GET", f"/requests/{UNKNOWN}", {}, 404, (f"no request '{UNKNOWN}'",)),
    "deciding an unknown request": (
        "POST",
        f"/requests/{UNKNOWN}/decisions",
        deciding(),
        404,
        (UNKNOWN,),
    ),
    "a malformed request id": ("GET", "/requests/7", {}, 422, ("request_id", "UUID")),
    "a request id of NUL": ("GET", "/requests/%00", {}, 422, ("request_id",)),
    "an unknown tool": ("GET", f"/tools/{UNKNOWN}/versions", {}, 404, (UNKNOWN,)),
    "an unknown server": ("GET", f"/tools?server_id={UNKNOWN}", {}, 404, (UNKNOWN,)),
    "an unknown run": ("GET", f"/executions/{UNKNOWN}", {}, 404, (UNKNOWN,)),
    "an unknown state": ("GET", "/requests?state=open", {}, 422, ("state", "awaiting_decision")),
    "page zero": ("GET", "/servers?page=0", {}, 422, ("page",)),
    "a page beyond all numbers": ("GET", f"/servers?page={10**30}", {}, 422, ("page",)),
    "an unknown route": ("GET", "/nothing", {}, 404, ("'/api/v1/nothing'",)),
    "a wrong method": ("DELETE", "/requests", {}, 405, ("DELETE", "use GET")),
    "another wrong method": ("GET", LOGIN, {}, 405, ("use POST",)),
    "not JSON": ("POST", LOGIN, raw("{"), 422, ("not JSON", "character 1")),
    "not text": ("POST", LOGIN, raw(b"\xff\xfe"), 422, ("not JSON",)),
    "JSON nested too deeply": ("POST", LOGIN, raw("[" * 100_000), 400, ("body",)),
    "a form": (
        "POST",
        LOGIN,
        raw("username=admin", "application/x-www-form-urlencoded"),
        422,
        ("application/json",),
    ),
    "JSON that says it is text": (
        "POST",
        LOGIN,
        raw('{"username": "a", "password": "b"}', "text/plain"),
        422,
        ("application/json",),
    ),
    "a body over the limit": ("POST", LOGIN, raw("x" * (2**20 + 1)), 413, ("1 MiB",)),
    "a user's name with NUL": (
        "POST",
        LOGIN,
        {"json": {"username": "a\x00", "password": "x"}},
        422,
        ("username", "NUL"),
    ),
    "a user's name that is no text": (
        "POST",
        LOGIN,
        raw('{"username": "\\ud800", "password": "x"}'),
        422,
        ("username", "surrogate"),
    ),
    "a password that is no text": (
        "POST",
        LOGIN,
        raw('{"username": "a", "password": "\\ud800"}'),
        422,
        ("password", "surrogate"),
    ),
    "a refresh token that is none": (
        "POST",
        "/auth/refresh",
        {"json": {"refresh_token": "x\x00"}},
        401,
        ("log in",),
    ),
}


@pytest.mark.parametrize("case", REST)
async def test_rest_answers_with_a_problem_that_says_what_to_do(
    instance: Installed, reviewer: Reviewer, desk: Desk, case: str
) -> None:
    method, path, sent, status, told = REST[case]
    address = path.format(waiting_id=desk.waiting_id, finished_id=desk.finished_id)

    answer = await reviewer.api.request(method, address, **desk.fill(sent))

    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    problem = answer.json()
    assert problem["status"] == status
    assert [words for words in told if words not in problem["detail"]] == [], problem
    assert_tells_nothing_inside(instance, answer.text)


async def test_a_request_that_was_decided_badly_can_still_be_decided(
    reviewer: Reviewer, desk: Desk
) -> None:
    """After everything above; a value that no database keeps once held a workflow up for ever."""
    waiting = await reviewer.request(desk.waiting_id)

    assert (waiting["state"], waiting["decisions"]) == ("awaiting_decision", [])


HTTP: dict[str, tuple[str, dict[str, str], bytes, int, tuple[str, ...]]] = {
    "another path": ("GET /other", {}, b"", 404, ("POST to /mcp",)),
    "not JSON": ("POST", {}, b"not json", 400, ("Parse error",)),
    "not text": ("POST", {}, b"\xff\xfe", 400, ("Parse error",)),
    "an empty object": ("POST", {}, b"{}", 400, ("no JSON-RPC message", "jsonrpc, method")),
    "an empty list": ("POST", {}, b"[]", 400, ("no JSON-RPC message",)),
    "null": ("POST", {}, b"null", 400, ("no JSON-RPC message",)),
    "a wrong method": ("PUT", {}, b"{}", 405, ("Method Not Allowed",)),
    "no session": ("GET", {}, b"", 400, ("session",)),
    "another content type": ("POST", {"content-type": "text/plain"}, b"{}", 400, ("Content-Type",)),
    "another answer wanted": ("POST", {"accept": "text/html"}, b"{}", 406, ("application/json",)),
    "another host": ("POST", {"host": "evil.example"}, b"{}", 421, ("MCPBOX_PUBLIC_HOSTS",)),
    "another origin": (
        "POST",
        {"origin": "https://evil.example"},
        b"{}",
        403,
        ("Origin", "MCPBOX_PUBLIC_HOSTS"),
    ),
    "a body over the limit": ("POST", {}, b"x" * (4 * 2**20 + 1), 413, ("4 MiB",)),
}


@pytest.mark.parametrize("case", HTTP)
async def test_the_gateway_refuses_what_is_no_mcp(instance: Installed, case: str) -> None:
    line, headers, body, status, told = HTTP[case]
    method, _, path = line.partition(" ")
    address = instance.gateway_url.removesuffix("/mcp") + (path or "/mcp")
    headers = with_token(instance) | headers

    async with httpx.AsyncClient() as http:
        answer = await http.request(method, address, headers=headers, content=body)

    assert answer.status_code == status, answer.text
    assert [words for words in told if words not in answer.text] == [], answer.text
    assert_tells_nothing_inside(instance, answer.text)


async def test_the_panel_answers_to_its_own_name_only(instance: Installed) -> None:
    async with httpx.AsyncClient(base_url=instance.panel_url) as http:
        elsewhere = await http.get("/login", headers={"host": "evil.example"})
        foreign = await http.post("/login", headers={"origin": "https://evil.example"})

    assert (elsewhere.status_code, foreign.status_code) == (421, 403)
    assert "MCPBOX_PUBLIC_HOSTS" in elsewhere.text
    assert "nothing was changed" in foreign.text
