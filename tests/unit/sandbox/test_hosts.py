import httpx
import pytest

from sandbox.hosts import HostGrant, HostGrants, Refused, Target


def target(url: str, *granted: str, private: str = "", method: str = "GET") -> Target:
    allowed = [HostGrant.parse(private)] if private else []
    return HostGrants(granted, allowed).target(httpx.URL(url), method)


@pytest.mark.parametrize(
    ("url", "grant"),
    [
        ("https://api.example.com/x", "api.example.com"),
        ("http://API.example.com./x", "api.example.com"),
        ("https://a.b.example.com/", "*.example.com"),
        ("http://example.com:8443/", "example.com:8443"),
        ("http://[2606:4700::1111]/", "[2606:4700::1111]"),
        ("http://[2606:4700:0:0::1111]/", "[2606:4700::1111]"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("https://api.example.com/v1/x?y=/../z", "GET api.example.com/v1"),
        ("https://api.example.com/v1", "GET,POST api.example.com/v1/"),
        ("https://api.example.com/a%20b;c/%25", "GET api.example.com"),
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
        ("http://example.com:0/", "example.com"),
        ("http://example.com:99999/", "example.com"),
        ("http://example.com../", "example.com"),
        ("http://a..example.com/", "*.example.com"),
        ("http://.example.com/", "*.example.com"),
        ("http://*.example.com/", "*.example.com"),
        ("http://example.com\\@evil.test/", "example.com"),
        ("http://evil.test\\.example.com/", "*.example.com"),
        ("http://evil.test%2f.example.com/", "*.example.com"),
        ("http://evil.test%00.example.com/", "*.example.com"),
        ("http://еxample.com/", "example.com"),  # noqa: RUF001  a Cyrillic e
        ("http://[fe80::1%25eth0]/", "[fe80::1]"),
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


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "1.2.3.4.5",
        "93.184.216.34.",
        "93.184.55330",
        "a.0x5db8d822",
        "x.017",
    ],
)
def test_an_address_has_one_form_alone(host: str) -> None:
    """Even where such a form is granted: what it means depends on who reads it."""
    with pytest.raises(Refused, match="four decimal numbers"):
        target(f"http://{host}/", host)


@pytest.mark.parametrize("host", ["１２７.０.０.１", "0300.0.0.1", "256.1.1.1", "1.2.3"])  # noqa: RUF001
def test_a_strange_address_is_refused_by_some_step(host: str) -> None:
    with pytest.raises((Refused, httpx.InvalidURL)):
        target(f"http://{host}/", "1.2.3", "256.1.1.1", "192.0.0.1")


@pytest.mark.parametrize(
    ("method", "url", "says"),
    [
        ("POST", "https://api.x.org/v1/a", "api.x.org is granted for GET below /v1 only"),
        ("GET", "https://api.x.org/v2/a", "api.x.org is granted for GET below /v1 only"),
        ("GET", "https://api.x.org/", "api.x.org is granted for GET below /v1 only"),
        ("GET", "https://api.x.org/v10", "api.x.org is granted for GET below /v1 only"),
        ("GET", "https://api.x.org/V1/", "api.x.org is granted for GET below /v1 only"),
        ("GET", "https://api.x.org/%761/", "api.x.org is granted for GET below /v1 only"),
        ("GET", "https://api.x.org:8443/v1/", "only its port 80 and 443"),
        ("PUT", "https://b.x.org/", "b.x.org is granted for GET, POST only"),
        ("GET", "https://c.x.org/", "granted for GET below /a or every method below /b only"),
        ("DELETE", "https://c.x.org/a", "c.x.org is granted for every method below /b only"),
        ("GET", "https://d.x.org/", "the host d.x.org:443 is not granted to this server"),
    ],
)
def test_a_refusal_names_the_grant_that_came_closest(method: str, url: str, says: str) -> None:
    grants = ["GET api.x.org/v1", "POST,GET b.x.org", "GET c.x.org/a", "c.x.org/b"]

    with pytest.raises(Refused) as refused:
        target(url, *grants, method=method)

    assert says in str(refused.value)


def test_any_of_several_grants_is_enough() -> None:
    grants = ["GET api.x.org/v1", "POST api.x.org/v1/items"]

    assert target("https://api.x.org/v1/items/3", *grants, method="POST")
    with pytest.raises(Refused):
        target("https://api.x.org/v1/other", *grants, method="POST")


@pytest.mark.parametrize(
    "text",
    [
        *("get api.x.org", "GET,api.x.org", "GET, POST api.x.org", "GET  api.x.org"),
        *("api.x.org/a b", "api.x.org/../a", "api.x.org/a//b", "api.x.org/a?b", "api.x.org/a%2fb"),
        *("api.x.org/*", "https://api.x.org/v1", "GET */v1", "api.x.org/a;b", "api.x.org/%2e%2e/b"),
    ],
)
def test_a_malformed_grant_of_requests_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|port|path|methods"):
        HostGrants([text])
