"""Endpoints of other MCP servers, and what their tools are called here."""

from typing import Any

import pytest

from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import Invalid
from mcpbox.domain.external_sources import ListedTool
from mcpbox.domain.upstreams import Authentication, HttpEndpoint, StdioEndpoint, Upstream
from mcpbox.usecases.offers import content_of, name_of, said_now
from tests.factories import some_content

URL = "https://mcp.example.com/mcp"
LISTED = ListedTool(name="find", description="Finds.", input_schema={"type": "object"})


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mcp.example.com", "Give the address of the source whole"),
        ("ftp://mcp.example.com/", "Give the address of the source whole"),
        ("https://ana:pw@mcp.example.com/mcp", "kept as a secret"),
        ("https://mcp.example.com/mcp?key=1", "kept as a secret"),
        ("https://169.254.169.254/mcp", "no tool ever reaches one"),
        ("https://mcp.example.com/a/../b", "plain"),
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        HttpEndpoint(url=url)


@pytest.mark.parametrize(
    "given",
    [
        {"authentication": Authentication.BEARER},
        {"secret_name": "TOKEN"},
        {"authentication": Authentication.HEADER, "secret_name": "TOKEN"},
        {"authentication": Authentication.BEARER, "secret_name": "TOKEN", "header_name": "x-key"},
        {"authentication": Authentication.HEADER, "secret_name": "TOKEN", "header_name": "Host"},
        {"authentication": Authentication.HEADER, "secret_name": "TOKEN", "header_name": "a\r\nb"},
    ],
)
def test_what_proves_who_asks_is_said_whole(given: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        HttpEndpoint(url=URL, **given)


def test_an_endpoint_needs_its_host_its_secret_or_its_module() -> None:
    http = HttpEndpoint(
        url="https://mcp.example.com:8443/v1/mcp",
        authentication=Authentication.BEARER,
        secret_name="TOKEN",
    )
    assert http.manifest.hosts == ("mcp.example.com:8443",)
    assert http.manifest.secret_names == ("TOKEN",)
    assert str(http.access) == "DELETE,GET,POST mcp.example.com:8443/v1/mcp"
    assert str(HttpEndpoint(url=URL).access) == "DELETE,GET,POST mcp.example.com/mcp"
    assert StdioEndpoint(module="mcp_server_time.cli").manifest.modules == ("mcp_server_time",)
    with pytest.raises(Invalid, match="import name"):
        StdioEndpoint(module="os; rm")


def test_the_digest_covers_where_calls_go_and_what_comes_back() -> None:
    here, there = (
        Upstream(endpoint=HttpEndpoint(url=f"https://{host}.example.com/mcp"), tool="find")
        for host in ("a", "b")
    )
    digests = {
        digest_of(some_content(code="", passes_to=upstream))
        for upstream in (
            None,
            here,
            there,
            here.model_copy(update={"tool": "other"}),
            here.model_copy(update={"output_schema": {"type": "object"}}),
        )
    }
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Search-Docs", "search_docs"),
        ("get.user/by id", "get_user_by_id"),
        ("2fa", "t_2fa"),
        ("__", "t"),
        ("x" * 128, "x" * 62),
        ("a" * 61 + "--b", "a" * 61),
    ],
)
def test_a_name_of_theirs_becomes_one_that_can_be_called_here(theirs: str, ours: str) -> None:
    assert name_of(LISTED.model_copy(update={"name": theirs})) == ours


def test_a_source_that_says_the_same_again_says_what_was_approved() -> None:
    endpoint = HttpEndpoint(url=URL)
    approved = content_of(endpoint, LISTED)
    assert said_now(endpoint, [LISTED], approved) == approved
    assert said_now(endpoint, [], approved) is None
    assert said_now(endpoint, [LISTED, LISTED], approved) is None
    longer = LISTED.model_copy(update={"description": "x" * 10_001})
    assert said_now(endpoint, [longer], approved) is None
