"""How a client that asks too often is told so, in words that its model gets to read."""

import json
from http import HTTPStatus
from typing import Any, cast

import anyio
from mcp_types import CallToolResult
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from gateway.answers import failed
from mcpbox.domain.errors import RateExceeded

RATE_EXCEEDED = -32005
"""Ours, among the codes that JSON-RPC leaves to servers."""
_LATER_ERA = "mcp-method"
"""A header that it requires, and that no client of the handshake era sends."""
_READ_BYTES = 64 * 2**10
_READ_S = 1.0


async def too_fast(request: Request, error: RateExceeded) -> JSONResponse:
    """A tool error to a call, a JSON-RPC error to any other request, and 429 to the rest.

    Clients of the handshake era give up their connection at a status that is no success, and a
    model that called a tool would then learn nothing; those of the later one read the body of
    either. Source: RFC 6585 section 4; MCP, "Sending Messages to the Server".
    """
    message = await message_of(request)
    request_id = message.get("id")
    asks = isinstance(request_id, str | int)
    headers = {"retry-after": str(error.wait_s)}
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id if asks else None}
    if asks and message.get("method") == "tools/call":
        answer["result"] = _dumped(failed(error))
        return JSONResponse(answer, headers=headers)
    answer["error"] = {
        "code": RATE_EXCEEDED,
        "message": str(error),
        "data": {"code": "too_many_attempts", "retry_after_s": error.wait_s},
    }
    lenient = asks and _LATER_ERA not in request.headers
    status = HTTPStatus.OK if lenient else HTTPStatus.TOO_MANY_REQUESTS
    return JSONResponse(answer, status_code=status, headers=headers)


async def message_of(request: Request) -> dict[str, Any]:
    """Empty where it is not worth reading: a refusal must stay cheaper than an answer."""
    body = b""
    try:
        with anyio.fail_after(_READ_S):
            async for part in request.stream():
                body += part
                if len(body) > _READ_BYTES:
                    return {}
        message = json.loads(body)
    except (TimeoutError, ClientDisconnect, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", message) if isinstance(message, dict) else {}


def _dumped(result: CallToolResult) -> dict[str, Any]:
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)
