"""Whatever is sent to any address of the gateway, it does not fail, and tells nothing inside."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import mcp.types as mcp_types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.tools import TOOLS
from tests.e2e.desk import UNKNOWN, Desk, with_token
from tests.e2e.fuzzing import PLENTY, json_values
from tests.e2e.leaks import assert_tells_nothing_inside
from tests.instances import Installed
from tests.mcp_clients import ERAS, Draft, Era, author_on

MANY = settings(PLENTY, max_examples=120)
QUICK_S = 10.0
"""Nothing that is sent here may take longer: a run in the sandbox is the slowest of it."""
VIEWS = ("/mcp", "/search/mcp", "/s/{server}/mcp", "/s/%00/mcp", f"/s/{'x' * 3000}/mcp")
META = "io.modelcontextprotocol/"
METHODS = (
    *("tools/call", "tools/list", "ping", "initialize", "server/discover", "x", ""),
    *("resources/list", "resources/templates/list", "resources/read", "resources/subscribe"),
    *("resources/unsubscribe", "prompts/list", "prompts/get", "completion/complete"),
    *("logging/setLevel", "notifications/cancelled", "notifications/initialized"),
)
"""Not subscriptions/listen, whose answer is to last."""
HEADERS = ("mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "content-type")


@dataclass(frozen=True)
class Sent:
    path: str
    headers: Mapping[str, str]
    body: bytes


@pytest.fixture
async def draft(instance: Installed) -> Draft:
    """Of this test's own: what is sent may change or delete it."""
    async with author_on(instance) as author:
        return await author.draft()


@pytest.mark.parametrize("era", ERAS)
def test_no_message_makes_the_gateway_fail(
    instance: Installed, desk: Desk, draft: Draft, era: Era
) -> None:
    with httpx.Client(headers=with_token(instance), timeout=QUICK_S) as http:
        session = initialized(http, instance) if era == "legacy" else {}

        @MANY
        @given(messages(era, draft, desk) | st.builds(Sent, paths(draft), headers(), bodies()))
        def nothing_fails(sent: Sent) -> None:
            answer = http.post(
                instance.gateway_url.removesuffix("/mcp") + sent.path,
                headers=session | dict(sent.headers),
                content=sent.body,
            )
            assert answer.status_code < 500, answer.text
            assert_tells_nothing_inside(instance, answer.text)

        nothing_fails()


def paths(draft: Draft) -> st.SearchStrategy[str]:
    server = draft.callable_name.partition("__")[0]
    return st.sampled_from([view.replace("{server}", server) for view in VIEWS])


def messages(era: Era, draft: Draft, desk: Desk) -> st.SearchStrategy[Sent]:
    """Well-formed ones, with what each era wants besides; their parameters are anything."""
    anything = st.dictionaries(
        st.sampled_from(
            ["name", "arguments", "cursor", "uri", "ref", "argument", "level", "_meta"]
        ),
        json_values | uris(draft, desk),
    )
    spoken = st.tuples(st.just("tools/call"), calls(draft, desk)) | st.tuples(
        st.sampled_from(METHODS), anything
    )
    return st.tuples(paths(draft), spoken).map(lambda sent: message(era, sent[0], *sent[1]))


def calls(draft: Draft, desk: Desk) -> st.SearchStrategy[dict[str, Any]]:
    """Of every management tool, with any of its parameters, and of tools that there are not."""
    known = [
        st.fixed_dictionaries(
            {
                "name": st.just(name),
                "arguments": st.dictionaries(
                    st.sampled_from([*tool.listing.input_schema.get("properties", {}), "x"]),
                    ids(draft, desk) | json_values,
                ),
            }
        )
        for name, tool in TOOLS.items()
    ]
    unknown = st.fixed_dictionaries(
        {
            "name": st.sampled_from([draft.callable_name, *TOOLS]) | st.text(max_size=20),
            "arguments": json_values,
        }
    )
    return st.one_of(*known, unknown)


def ids(draft: Draft, desk: Desk) -> st.SearchStrategy[str]:
    """No request that is open: to wait for one takes as long as it is told."""
    return st.sampled_from([draft.tool_id, draft.server_id, desk.finished_id, UNKNOWN])


def uris(draft: Draft, desk: Desk) -> st.SearchStrategy[str]:
    kinds = st.sampled_from(["requests", "tools", "servers", "guide", "", "../x", "%2e%2e"])
    parts = ids(draft, desk) | st.text(max_size=8)
    ends = st.sampled_from(
        ["", "/versions", "/versions/1", "/modules", "/hosts", "/comments", "?a"]
    )
    return st.builds("mcpbox://{}/{}{}".format, kinds, parts, ends)


def bodies() -> st.SearchStrategy[bytes]:
    """What is no message: bytes, half of one, a batch, an answer that nobody asked for."""
    return st.one_of(
        st.binary(max_size=200),
        json_values.map(lambda value: json.dumps(value).encode()),
        st.integers(0, 60).map(lambda cut: json.dumps(envelope("ping", {})).encode()[:cut]),
        st.integers(1, 20_000).map(lambda deep: b"[" * deep),
        st.integers(1, 20_000).map(lambda deep: b'{"a":' * deep + b"1" + b"}" * deep),
        st.lists(st.just(envelope("tools/list", {})), max_size=3).map(
            lambda batch: json.dumps(batch).encode()
        ),
        st.fixed_dictionaries(
            {"jsonrpc": json_values | st.just("2.0"), "id": json_values},
            optional={"method": json_values, "result": json_values, "error": json_values},
        ).map(lambda value: json.dumps(value).encode()),
    )


def headers() -> st.SearchStrategy[dict[str, str]]:
    values = st.sampled_from(
        [*METHODS, *ERAS, "2025-11-25", "1", "text/plain", UNKNOWN, "x" * 2000]
    )
    return st.dictionaries(st.sampled_from(HEADERS), values, max_size=3)


def envelope(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


def message(era: Era, path: str, method: str, params: dict[str, Any]) -> Sent:
    if era == "legacy":
        return Sent(path, {}, json.dumps(envelope(method, params)).encode())
    told = {"mcp-protocol-version": era, "mcp-method": method}
    name = params.get("uri" if method.startswith("resources/") else "name")
    if isinstance(name, str) and name.isascii() and name.isprintable():
        told["mcp-name"] = name.strip()
    given = {f"{META}protocolVersion": era, f"{META}clientCapabilities": {}}
    return Sent(path, told, json.dumps(envelope(method, {**params, "_meta": given})).encode())


def initialized(http: httpx.Client, instance: Installed) -> dict[str, str]:
    params = mcp_types.InitializeRequestParams(
        protocol_version="2025-11-25",
        capabilities=mcp_types.ClientCapabilities(),
        client_info=mcp_types.Implementation(name="fuzz", version="1"),
    ).model_dump(by_alias=True, exclude_none=True)
    answer = http.post(instance.gateway_url, json=envelope("initialize", params))
    return {"mcp-session-id": answer.raise_for_status().headers["mcp-session-id"]}
