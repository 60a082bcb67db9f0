"""What is said to a server over stdio, and what is believed of its answers.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle
"""

import json
from typing import Any

import pytest

from sandbox.dialogue import MAX_MESSAGES, Asked, Broken, Dialogue

CALL = Asked("add", {"a": 1}, 1000)
LISTING = Asked(None, {}, 1000)
FINE = {"content": [{"type": "text", "text": "3"}], "structuredContent": {"sum": 3}}


def said(data: bytes | None) -> list[dict[str, Any]]:
    assert data is not None
    return [json.loads(line) for line in data.splitlines()]


def line(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


def begun(asked: Asked) -> tuple[Dialogue, dict[str, Any]]:
    """With the first request after the handshake."""
    dialogue = Dialogue()
    (hello,) = said(dialogue.begin(asked))
    result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}}
    ready, request = said(dialogue.take(line(id=hello["id"], result=result)))
    assert "id" not in ready
    return dialogue, request


def report_of(dialogue: Dialogue) -> dict[str, Any]:
    assert dialogue.report is not None
    return json.loads(dialogue.report)


def test_a_server_is_greeted_before_it_is_asked() -> None:
    (hello,) = said(Dialogue().begin(CALL))

    assert hello["jsonrpc"] == "2.0"
    assert hello["method"] == "initialize"
    assert hello["params"]["protocolVersion"] == "2025-11-25"
    assert hello["params"]["capabilities"] == {}


def test_an_answer_is_reported_as_the_server_sent_it() -> None:
    dialogue, request = begun(CALL)
    assert request["method"] == "tools/call"
    assert request["params"] == {"name": "add", "arguments": {"a": 1}}

    assert dialogue.take(line(id=request["id"], result=FINE)) == b""

    assert report_of(dialogue) == {"ok": True, "result": FINE}


def test_the_next_call_is_asked_without_a_greeting() -> None:
    dialogue, request = begun(CALL)
    dialogue.take(line(id=request["id"], result=FINE))

    (again,) = said(dialogue.begin(CALL))

    assert again["method"] == "tools/call"
    assert again["id"] != request["id"]
    assert dialogue.report is None


def test_all_pages_of_a_list_are_one_list() -> None:
    dialogue, request = begun(LISTING)
    assert request["method"] == "tools/list"

    page = {"tools": [{"name": "a"}], "nextCursor": "more"}
    (second,) = said(dialogue.take(line(id=request["id"], result=page)))
    assert second["params"] == {"cursor": "more"}
    dialogue.take(line(id=second["id"], result={"tools": [{"name": "b"}]}))

    assert report_of(dialogue)["result"] == {"tools": [{"name": "a"}, {"name": "b"}]}


def test_an_error_of_the_server_is_told_in_its_words() -> None:
    dialogue, request = begun(CALL)

    dialogue.take(line(id=request["id"], error={"code": -32602, "message": "Unknown tool"}))

    report = report_of(dialogue)
    assert report["error"]["kind"] == "raised"
    assert "-32602: Unknown tool" in report["error"]["message"]
    assert not report["last"]


def test_who_refuses_the_greeting_is_not_asked_again() -> None:
    dialogue = Dialogue()
    (hello,) = said(dialogue.begin(CALL))

    dialogue.take(line(id=hello["id"], error={"code": 1, "message": "No"}))

    assert report_of(dialogue)["last"]


def test_a_ping_is_answered_and_nothing_else_is_offered() -> None:
    dialogue, _ = begun(CALL)

    (pong,) = said(dialogue.take(line(id="p", method="ping")))
    refusals = [
        said(dialogue.take(line(id=7, method=method)))[0]
        for method in ("roots/list", "sampling/createMessage", "elicitation/create")
    ]

    assert pong == {"jsonrpc": "2.0", "id": "p", "result": {}}
    assert {(one["id"], one["error"]["code"]) for one in refusals} == {(7, -32601)}


def test_notifications_need_no_answer() -> None:
    dialogue, _ = begun(CALL)

    assert dialogue.take(line(method="notifications/message", params={"data": "x"})) == b""


@pytest.mark.parametrize("printed", [b"hello", b"{not json", b'{"a": 1}', b"[1]", b"\xff", b""])
def test_what_is_no_message_is_left_to_others(printed: bytes) -> None:
    dialogue, _ = begun(CALL)

    assert dialogue.take(printed) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"id": 99, "result": FINE},
        {"id": "2", "result": FINE},
        {"id": 2.0, "result": FINE},
        {"id": True, "result": FINE},
        {"id": None, "error": {"code": -32700, "message": "Parse error"}},
        {"result": FINE},
        {"id": 2},
        {"id": 2, "result": 5},
        {"id": 2, "result": {"content": "text"}},
        {"id": 2, "result": {"content": ["text"]}},
        {"id": 2, "result": {"tools": []}},
        {"id": 2, "error": "no"},
        {"id": 2, "error": {"code": "1", "message": "no"}},
        {"id": {}, "method": "ping"},
    ],
)
def test_who_breaks_the_protocol_is_not_believed(answer: dict[str, Any]) -> None:
    dialogue, request = begun(CALL)
    assert request["id"] == 2

    with pytest.raises(Broken):
        dialogue.take(line(**answer))

    assert dialogue.report is None


@pytest.mark.parametrize("version", ["2026-07-28", "1999-01-01", 5, None])
def test_a_protocol_that_is_not_spoken_here_is_refused(version: object) -> None:
    dialogue = Dialogue()
    (hello,) = said(dialogue.begin(CALL))

    with pytest.raises(Broken, match="is not spoken here"):
        dialogue.take(line(id=hello["id"], result={"protocolVersion": version}))


def test_a_result_beyond_its_limit_is_not_passed_on() -> None:
    dialogue, request = begun(CALL)
    large = {"content": [{"type": "text", "text": "x" * 2000}]}

    dialogue.take(line(id=request["id"], result=large))

    assert report_of(dialogue)["error"]["kind"] == "bad_result"


def test_pages_and_messages_without_an_end_come_to_one() -> None:
    dialogue, request = begun(LISTING)

    def answer(number: int) -> None:
        page = {"tools": [], "nextCursor": str(number)}
        dialogue.take(line(id=request["id"] + number, result=page))

    for number in range(MAX_MESSAGES - 1):
        answer(number)
    with pytest.raises(Broken, match="messages"):
        answer(MAX_MESSAGES - 1)


@pytest.mark.parametrize("depth", [200, 500, 900, 5000, 100_000])
def test_depth_breaks_nothing(depth: int) -> None:
    dialogue, request = begun(CALL)
    start = f'{{"jsonrpc":"2.0","id":{request["id"]},"result":{{"content":[{{"x":'.encode()

    try:
        dialogue.take(start + b"[" * depth + b"]" * depth + b"}]}}")
    except Broken:
        return

    assert report_of(dialogue)
