"""A client's side of a session with an MCP server: what to say next, given what it said. No I/O.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle, and server/tools
"""

import json
from typing import Any, NamedTuple, cast

PROTOCOL_VERSION = "2025-11-25"
_SPOKEN_VERSIONS = frozenset({PROTOCOL_VERSION, "2025-06-18", "2025-03-26", "2024-11-05"})
MAX_MESSAGES = 1000
"""In one call: most of them are for nobody, and reading each takes time of other calls."""
_METHOD_NOT_FOUND = -32601
_IDS = frozenset({int, str})
_MAX_SHOWN_CHARACTERS = 100

Message = dict[str, Any]


class Broken(Exception):
    """Fit for the author: what the server did that no server may."""


class Asked(NamedTuple):
    tool: str | None
    """``None``: which tools there are."""
    arguments: dict[str, Any]
    max_result_bytes: int


class Dialogue:
    def __init__(self) -> None:
        self._initialized = False
        self._last_id = 0
        self._method = ""
        """What was asked last."""
        self._messages = 0
        self._tools: list[Any] = []
        self._asked = Asked(None, {}, 0)
        self.report: bytes | None = None
        """As a child reports on a tool; ``None`` until the answer is there."""

    def begin(self, asked: Asked) -> bytes:
        """What to say first."""
        self._asked = asked
        self._messages = 0
        self._tools = []
        self.report = None
        if self._initialized:
            return self._request_for_answer()
        client = {"name": "mcpbox", "version": "1"}
        said = {"protocolVersion": PROTOCOL_VERSION, "capabilities": {}, "clientInfo": client}
        return self._request("initialize", said)

    def take(self, line: bytes) -> bytes | None:
        """What to say next, if anything; ``None`` when the line is no message. Raises: Broken."""
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise Broken(f"sent more than {MAX_MESSAGES} messages in one call")
        message = _message(line)
        if message is None:
            return None
        if "method" in message:
            return _answer_to(message) if "id" in message else b""
        if type(message.get("id")) is not int or message["id"] != self._last_id:
            raise Broken("answered what it was not asked")
        if "error" in message:
            said = _described(message["error"])
            self.report = _failed("raised", said, last=not self._initialized)
            return b""
        return self._go_on(_result(message))

    def _go_on(self, result: Message) -> bytes:
        match self._method:
            case "initialize":
                version = result.get("protocolVersion")
                if version not in _SPOKEN_VERSIONS:
                    shown = repr(version)[:_MAX_SHOWN_CHARACTERS]
                    raise Broken(f"speaks the protocol {shown}, which is not spoken here")
                self._initialized = True
                begun = _line({"method": "notifications/initialized"})
                return begun + self._request_for_answer()
            case "tools/list":
                return self._next_page(result)
            case _:
                if not _is_list_of_objects(result.get("content")):
                    raise Broken("answered a call with something that is no result of a call")
                self._finish(result)
                return b""

    def _next_page(self, result: Message) -> bytes:
        page = result.get("tools")
        if not _is_list_of_objects(page):
            raise Broken("answered with something that is no list of tools")
        self._tools += cast("list[Any]", page)
        cursor = result.get("nextCursor")
        if cursor is not None:
            return self._request("tools/list", {"cursor": cursor})
        self._finish({"tools": self._tools})
        return b""

    def _request_for_answer(self) -> bytes:
        if self._asked.tool is None:
            return self._request("tools/list", {})
        said = {"name": self._asked.tool, "arguments": self._asked.arguments}
        return self._request("tools/call", said)

    def _request(self, method: str, said: Message) -> bytes:
        self._last_id += 1
        self._method = method
        return _line({"id": self._last_id, "method": method, "params": said})

    def _finish(self, result: Message) -> None:
        try:
            text = json.dumps(result)
        except RecursionError:
            raise _too_deep() from None
        limit = self._asked.max_result_bytes
        if len(text) > limit:
            message = f"The result is {len(text)} bytes of JSON; {limit} are allowed."
            self.report = _failed("bad_result", message)
        else:
            self.report = f'{{"ok": true, "result": {text}}}'.encode()


def too_much() -> bytes:
    """The report on a server that talks beyond what any answer may be."""
    message = "The server said more in one call than a result may have bytes. Ask it for less."
    return _failed("bad_result", message, last=True)


def _message(line: bytes) -> Message | None:
    """Only an object that says so is meant for a client: servers print other things too.

    Raises: Broken.
    """
    try:
        given: object = json.loads(line)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        return None
    if not isinstance(given, dict):
        return None
    message = cast("Message", given)
    return message if message.get("jsonrpc") == "2.0" else None


def _too_deep() -> Broken:
    return Broken("sent a message that is nested too deeply")


def _answer_to(request: Message) -> bytes:
    """It was offered nothing; but it may ask whether somebody is there. Raises: Broken."""
    if type(request["id"]) not in _IDS:
        raise Broken("asked something by an id that is neither a number nor a text")
    if request["method"] == "ping":
        return _line({"id": request["id"], "result": {}})
    error = {"code": _METHOD_NOT_FOUND, "message": "This client offers nothing to servers."}
    return _line({"id": request["id"], "error": error})


def _line(message: Message) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


def _result(message: Message) -> Message:
    result = message.get("result")
    if not isinstance(result, dict):
        raise Broken("sent an answer without a result")
    return cast("Message", result)


def _is_list_of_objects(given: object) -> bool:
    return isinstance(given, list) and all(
        isinstance(one, dict) for one in cast("list[object]", given)
    )


def _described(error: object) -> str:
    said = cast("Message", error) if isinstance(error, dict) else {}
    code, text = said.get("code"), said.get("message")
    if type(code) is not int or not isinstance(text, str):
        raise Broken("sent an error without code and message")
    return f"The server answered with error {code}: {text}"


def _failed(kind: str, message: str, *, last: bool = False) -> bytes:
    error = {"kind": kind, "message": message}
    return json.dumps({"ok": False, "last": last, "error": error}).encode()
