import json

import pytest

from sandbox.channel import BODY_START
from sandbox.egress import Attempt, Log
from sandbox.hosts import HostGrants, Refused
from sandbox.outgoing import Outgoing, read


def asked(
    *headers: tuple[str, str],
    method: str = "GET",
    url: str = "https://api.x.org/v1/a",
    body: bytes = b"",
) -> Outgoing:
    return read(frame({"method": method, "url": url, "headers": headers}, body), Attempt())


def frame(head: object, body: bytes = b"") -> bytes:
    raw = json.dumps(head).encode()
    return BODY_START.pack(len(raw)) + raw + body


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "", "GET ", "G\r\nX", "É", "A" * 30])
def test_a_method_that_is_none_is_refused_and_not_written_down(method: str) -> None:
    attempt = Attempt()

    with pytest.raises(Refused, match="method"):
        read(frame({"method": method, "url": "https://x/", "headers": []}), attempt)

    assert attempt.method == "?"


def test_methods_beyond_the_usual_ones_pass() -> None:
    assert asked(method="propfind").method == "PROPFIND"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("X-A", "a\r\nHost: b"), ("X-A", "a\nb"), ("X-A", "a\x00"), ("X-A", "ł"), ("X A", "a")),
        *((":authority", "evil.test"), ("", "a"), ("X-A\n", "a")),
    ],
)
def test_a_header_cannot_carry_another(name: str, value: str) -> None:
    with pytest.raises(Refused, match="header"):
        asked((name, value))


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "Connection", "Transfer-Encoding", "Expect", "Proxy-X"),
        *("Transfer_Encoding", "content.length"),
    ],
)
def test_headers_of_the_connection_are_left_out(name: str) -> None:
    assert asked((name, "x"), ("X-Kept", "y")).headers == [(b"X-Kept", b"y")]


def test_the_host_header_is_that_of_the_url() -> None:
    grants = HostGrants(["api.x.org:8443"])
    outgoing = asked(("Host", "evil.test"), url="https://API.x.org.:8443/")

    headers = outgoing.headers_for(outgoing.target(grants))

    assert headers == [(b"Host", b"api.x.org:8443")]


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "Forwarded", "x-host", "X_Forwarded_Host"])
def test_no_header_may_name_another_host(name: str) -> None:
    with pytest.raises(Refused, match="another host"):
        asked((name, "evil.test")).target(HostGrants(["api.x.org"]))


@pytest.mark.parametrize(
    "name",
    [
        *("X-HTTP-Method-Override", "X-Original-URL", "x-rewrite-url", "Destination"),
        *("X_HTTP_Method_Override", "x_original.url"),
    ],
)
def test_where_some_requests_are_granted_no_header_may_name_another(name: str) -> None:
    outgoing = asked((name, "DELETE"))

    assert outgoing.target(HostGrants(["api.x.org"]))
    with pytest.raises(Refused, match="some requests only"):
        outgoing.target(HostGrants(["GET api.x.org"]))
    with pytest.raises(Refused, match="some requests only"):
        outgoing.target(HostGrants(["api.x.org/v1"]))


@pytest.mark.parametrize(
    "head",
    [
        *({}, [], {"method": 1, "url": "", "headers": []}),
        {"method": "GET", "url": "https://x/", "headers": [["a"]]},
        {"method": "GET", "url": "https://x/", "headers": [], "timeouts": {"read": -1}},
        {"method": "GET", "url": "https://x/", "headers": [], "timeouts": {"read": 1e999}},
        {"method": "GET", "url": "https://x/", "headers": [], "timeouts": {"read": "soon"}},
    ],
)
def test_what_is_no_request_is_refused(head: object) -> None:
    with pytest.raises(Refused, match="malformed"):
        read(frame(head), Attempt())


@pytest.mark.parametrize("payload", [b"", b"\x01", BODY_START.pack(50) + b"{}"])
def test_half_a_request_is_refused(payload: bytes) -> None:
    with pytest.raises(Refused, match="malformed"):
        read(payload, Attempt())


def test_url_and_headers_have_a_cap() -> None:
    with pytest.raises(Refused, match="65536 bytes"):
        asked(("X-Long", "x" * 70_000))


def test_so_many_headers_are_enough() -> None:
    assert len(asked(*[("X-A", "")] * 200).headers) == 200
    with pytest.raises(Refused, match="200 headers"):
        asked(*[("X-A", "")] * 201)


def test_a_long_url_is_refused_before_it_is_taken_apart() -> None:
    with pytest.raises(Refused, match="longer than 8192"):
        asked(url="https://api.x.org" + "/.." * 3000)


@pytest.mark.parametrize(
    "url", ["http://a\tb/", "http://[::1/", "http://x:port/", "http://a.\x7f/"]
)
def test_a_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="not valid"):
        asked(url=url)


def test_all_attempts_count_and_the_first_hundred_are_kept() -> None:
    log = Log()
    for _ in range(112):
        log.begin().method = "GET"

    records = log.records()

    assert len(records) == 101
    assert records[-1].refused == "… and 12 more"
    assert records[-2].method == "GET"
