"""What of a host may be asked for, and which of it a grant covers."""

from typing import Any

import pytest

from mcpbox.domain.errors import Invalid
from mcpbox.domain.hosts import HostAccess, covers
from sandbox.hosts import RequestGrant


def access(host: str = "api.example.com", **more: Any) -> HostAccess:
    return HostAccess(host=host, **more)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "api.example.com"),
        ({"host": " API.Example.com. "}, "api.example.com"),
        ({"port": 8443}, "api.example.com:8443"),
        ({"methods": ["post", "GET", "get"]}, "GET,POST api.example.com"),
        (
            {"port": 8443, "methods": ["GET"], "path_prefix": "/v1/items/"},
            "GET api.example.com:8443/v1/items",
        ),
        ({"host": "8.8.8.8"}, "8.8.8.8"),
    ],
)
def test_equal_wishes_have_one_text_which_the_sandbox_reads(
    given: dict[str, Any], text: str
) -> None:
    asked = HostAccess.model_validate({"host": "api.example.com"} | given)

    assert str(asked) == text
    assert HostAccess.parse(text) == asked
    assert RequestGrant.parse(text).host.covers(asked.host, asked.port or 443)


@pytest.mark.parametrize(
    "host",
    [
        "*",
        "*.example.com",
        "https://api.example.com",
        "api.example.com/v1",
        "api.example.com:443",
        "user@api.example.com",
        "api..example.com",
        "-a.example.com",
        "192.0.2.1",
        "a\nb.example.com",
        "api example.com",
        "api.example.com,evil.example",
        "GET evil.example",
        "ex\N{CYRILLIC SMALL LETTER A}mple.com",
        "\N{FULLWIDTH LATIN SMALL LETTER A}.com",
        "169.254.169.254",
        "metadata.google.internal",
        "100.100.100.200",
        "0.0.0.0",  # noqa: S104 - asked for, and refused
        "224.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "010.0.0.1",
        "[::1]",
        "::1",
        "a" * 64 + ".com",
        ("a" * 60 + ".") * 5 + "com",
    ],
)
def test_a_host_that_is_none_or_means_many_or_is_never_reached_is_refused(host: str) -> None:
    with pytest.raises(Invalid):
        access(host)


@pytest.mark.parametrize(
    "path",
    ["v1", "/v1/../admin", "//v1", "/v1/./x", "/v1?x=1", "/%2e%2e", "/v1;x", "/v1 x", "/*", "/\\x"],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(Invalid, match="plain"):
        access(path_prefix=path)


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "GET,POST", "G ET", ""])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(Invalid, match="method"):
        access(methods=[method])


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("nas", True),
        ("printer.local", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("example.com", False),
        ("8.8.8.8", False),
    ],
)
def test_hosts_of_one_s_own_network_are_told_from_others(host: str, *, private: bool) -> None:
    assert access(host).looks_private is private


@pytest.mark.parametrize(
    ("granted", "needed", "does"),
    [
        ("a.org", "a.org", True),
        ("GET a.org/v1", "a.org", True),
        ("a.org:443", "a.org", True),
        ("a.org", "a.org:443", True),
        ("a.org:8443", "a.org", False),
        ("a.org", "a.org:8443", False),
        ("a.org:80", "a.org:443", False),
        ("a.org", "b.a.org", False),
        ("b.a.org", "a.org", False),
        ("GET evil.org/a.org", "a.org", False),
    ],
)
def test_a_grant_is_for_the_host_that_it_names(granted: str, needed: str, *, does: bool) -> None:
    assert covers(granted, needed) is does


@pytest.mark.parametrize(
    ("asked", "held", "inside"),
    [
        ({}, {}, True),
        ({"methods": ["GET"]}, {}, True),
        ({}, {"methods": ["GET"]}, False),
        ({"methods": ["GET"]}, {"methods": ["GET", "POST"]}, True),
        ({"path_prefix": "/v1/x"}, {"path_prefix": "/v1"}, True),
        ({"path_prefix": "/v10"}, {"path_prefix": "/v1"}, False),
        ({"port": 8443}, {}, False),
    ],
)
def test_less_than_what_is_granted_needs_no_request(
    asked: dict[str, Any], held: dict[str, Any], *, inside: bool
) -> None:
    assert access(**asked).within(access(**held)) is inside


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        ([], False),
        (["b.example.com", "GET api.example.com/v1"], False),
        (["api.example.com:8443"], False),
        (["not.api.example.com"], False),
        (["GET api.example.com/v1", "GET,POST api.example.com"], True),
        (["*.example.com", "api.example.com/../v1", "api.example.com"], True),
    ],
)
def test_one_grant_has_to_allow_all_of_it(granted: list[str], *, allowed: bool) -> None:
    """Some that are held came with what code named, which nobody could ask for."""
    assert access(methods=["POST"]).allowed_by(granted) is allowed
