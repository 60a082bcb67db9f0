"""Whatever is sent, no face fails, and none tells what is inside."""

import json
import re
from typing import Any
from urllib.parse import quote

import httpx
import mcp.types as mcp_types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.desk import UNKNOWN, with_token
from tests.e2e.leaks import assert_tells_nothing_inside
from tests.instances import Installed
from tests.mcp_clients import ERAS, Era
from tests.reviewing import Reviewer

PLENTY = settings(
    max_examples=50,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\x00", "\ud800", UNKNOWN, "sha256:" + "0" * 64, "a" * 3000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
TOOL_NAMES = [
    f"mcpbox_{name}"
    for name in (
        "list_servers",
        "get_server",
        "create_server",
        "list_tools",
        "get_tool",
        "create_tool",
        "update_tool",
        "test_code",
        "validate_code",
        "request_publish",
        "get_tool_status",
        "wait_for_request",
        "list_pending_requests",
    )
]
FIELDS = (
    "server_id",
    "tool_id",
    "name",
    "description",
    "python_code",
    "code",
    "input_schema",
    "annotations",
    "page",
    "page_size",
    "notes",
    "sample_arguments",
)
calls = st.fixed_dictionaries(
    {
        "name": st.sampled_from(TOOL_NAMES) | st.text(max_size=20),
        "arguments": st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5)
        | json_values,
    }
)
messages = st.one_of(
    st.tuples(st.just("tools/call"), calls),
    st.tuples(
        st.sampled_from(["tools/call", "tools/list", "ping", "initialize", "prompts/list", "x"]),
        st.dictionaries(st.sampled_from(["name", "arguments", "cursor", "uri"]), json_values),
    ),
)


@pytest.mark.parametrize("era", ERAS)
def test_no_message_makes_the_gateway_fail(instance: Installed, era: Era) -> None:
    with httpx.Client(headers=with_token(instance), timeout=20) as http:
        session = initialized(http, instance) if era == "legacy" else {}

        @PLENTY
        @given(messages)
        def nothing_fails(message: tuple[str, dict[str, Any]]) -> None:
            method, params = message
            headers, body = spoken(era, method, params)
            answer = http.post(
                instance.gateway_url, headers=session | headers, content=json.dumps(body)
            )
            assert answer.status_code < 500, answer.text
            assert_tells_nothing_inside(instance, answer.text)

        nothing_fails()


def spoken(era: Era, method: str, params: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of a message, with what each era wants besides."""
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    if era == "legacy":
        return {}, body
    headers = {"mcp-protocol-version": era, "mcp-method": method}
    name = params.get("name")
    if isinstance(name, str) and name.isascii() and name.isprintable():
        headers["mcp-name"] = name
    meta = {
        "io.modelcontextprotocol/protocolVersion": era,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return headers, body | {"params": {**params, "_meta": meta}}


def initialized(http: httpx.Client, instance: Installed) -> dict[str, str]:
    params = mcp_types.InitializeRequestParams(
        protocol_version="2025-11-25",
        capabilities=mcp_types.ClientCapabilities(),
        client_info=mcp_types.Implementation(name="fuzz", version="1"),
    )
    _, body = spoken("legacy", "initialize", params.model_dump(by_alias=True, exclude_none=True))
    answer = http.post(instance.gateway_url, json=body)
    return {"mcp-session-id": answer.raise_for_status().headers["mcp-session-id"]}


async def test_no_request_makes_rest_fail(instance: Installed, reviewer: Reviewer) -> None:
    """From its own description: every operation, with values that it does and does not expect."""
    described = (await reviewer.api.get("/openapi.json")).json()
    operations = [
        (method, path)
        for path, methods in described["paths"].items()
        for method in methods
        if path != "/api/v1/auth/logout"
    ]
    fields = sorted(
        {
            name
            for schema in described["components"]["schemas"].values()
            for name in schema.get("properties", ())
        }
    )
    texts = st.text(max_size=12) | st.sampled_from([UNKNOWN, "\x00", "..", "%00", "0", "9" * 40])
    with httpx.Client(headers=dict(reviewer.api.headers), timeout=20) as http:

        @PLENTY
        @given(
            st.sampled_from(operations),
            texts,
            st.dictionaries(st.sampled_from(["page", "page_size", "state", "tool_id"]), texts),
            st.dictionaries(st.sampled_from(fields), json_values, max_size=6) | json_values,
        )
        def nothing_fails(
            operation: tuple[str, str], part: str, query: dict[str, str], body: Any
        ) -> None:
            method, path = operation
            # A function, for what is put in may look like a group of the pattern.
            url = instance.panel_url + re.sub(r"\{\w+\}", lambda _: quote(part, safe=""), path)
            answer = http.request(
                method,
                url,
                params=query,
                content=None if method == "get" else json.dumps(body),
                headers={"content-type": "application/json"},
            )
            assert answer.status_code < 500, answer.text
            assert_tells_nothing_inside(instance, answer.text)

        nothing_fails()
