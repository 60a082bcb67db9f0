import httpx
import pytest

from sandbox.hosts import HostGrant, HostGrants, Refused, Target


def target(url: str, *granted: str, private: str = "") -> Target:
    allowed = [HostGrant.parse(private)] if private else []
    return HostGrants(granted, allowed).target(httpx.URL(url))


@pytest.mark.parametrize(
    ("url", "grant"),
    [
        ("https://api.example.com/x", "api.example.com"),
        ("http://API.example.com./x", "api.example.com"),
        ("https://a.b.example.com/", "*.example.com"),
        ("http://example.com:8443/", "example.com:8443"),
        ("http://[2606:4700::1111]/", "[2606:4700::1111]"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_a_granted_host_may_be_asked(url: str, grant: str) -> None:
    assert target(url, grant).may_be_private is False


@pytest.mark.parametrize(
    ("url", "grant"),
    [
        ("https://example.com/", "api.example.com"),
        ("https://example.com/", "*.example.com"),
        ("https://evilexample.com/", "*.example.com"),
        ("https://example.com.evil.test/", "example.com"),
        ("http://example.com:8080/", "example.com"),
        ("http://example.com/", "example.com:8080"),
        ("ftp://example.com/", "example.com"),
        ("//example.com/", "example.com"),
        ("http://user@example.com/", "example.com"),
        ("http://example.com@evil.test/", "example.com"),
        ("http://evil.test/#@example.com/", "example.com"),
        ("http:///path", "example.com"),
        ("http://example.com/" + "x" * 9000, "example.com"),
    ],
)
def test_anything_else_is_refused(url: str, grant: str) -> None:
    with pytest.raises(Refused):
        target(url, grant)


def test_nothing_is_granted_by_default() -> None:
    with pytest.raises(Refused, match="not granted"):
        target("https://example.com/")


def test_a_private_host_needs_its_grant_too() -> None:
    assert target("http://nas:5000/", "nas:5000", private="nas").may_be_private is True
    assert target("http://nas:5000/", "nas:5000", private="nas:5000").may_be_private is True
    assert target("http://nas:5000/", "nas:5000", private="nas:5001").may_be_private is False
    with pytest.raises(Refused):
        target("http://nas:5000/", private="nas")


@pytest.mark.parametrize(
    "text", ["", "*", "*.", "http://x", "x/y", "x:", "x:0", "x:70000", "x:²", "a b", "[::1", "x@y"]
)
def test_a_malformed_grant_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|port"):
        HostGrant.parse(text)
