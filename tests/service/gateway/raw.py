"""The wire itself, where the SDK's client would hide it."""

from typing import Any

import httpx2

JSON_AND_SSE = {"accept": "application/json, text/event-stream"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


async def initialized(http: httpx2.AsyncClient) -> str:
    """The id of a new handshake-era session."""
    answer = await http.post("/mcp", json=INITIALIZE, headers=JSON_AND_SSE)
    assert answer.status_code == 200
    session_id = answer.headers["mcp-session-id"]
    await http.post(
        "/mcp",
        json={"jsonrpc": "2.0", "method": "notifications/initialized"},
        headers={**JSON_AND_SSE, "mcp-session-id": session_id},
    )
    return session_id


async def call_of(
    http: httpx2.AsyncClient,
    era: str,
    name: str = "calc__add",
    arguments: dict[str, Any] | None = None,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of a raw ``tools/call``."""
    params: dict[str, Any] = {"name": name, "arguments": arguments or {"a": 1}}
    if era == "legacy":
        headers = {**JSON_AND_SSE, "mcp-session-id": await initialized(http)}
    else:
        headers = {
            **JSON_AND_SSE,
            "mcp-protocol-version": era,
            "mcp-method": "tools/call",
            "mcp-name": name,
        }
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": era,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    return headers, {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
