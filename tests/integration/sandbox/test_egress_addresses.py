"""Names and where they lead: resolved once, checked, and connected to exactly there."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from sandbox.contract import RunResult
from tests.integration.sandbox.egress import Egress, Names, egress_through
from tests.integration.sandbox.origin import Answer, Asked, Origin, response, serving_origin
from tests.integration.sandbox.pools import Bench, bench

PUBLIC = "93.184.216.34"
FETCH = """
import httpx
async def main(url, headers=None):
    try:
        answer = await http.get(url, headers=headers, follow_redirects=True, timeout=2)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{type(error).__name__}: {error}"
    return answer.text
"""


@pytest.fixture(scope="module")
async def children() -> AsyncGenerator[Bench]:
    async with bench() as children:
        yield children


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def egress(children: Bench, names: Names) -> AsyncGenerator[Egress]:
    async with egress_through(children.pool, names.resolve) as egress:
        yield egress


@pytest.fixture
async def canary() -> AsyncGenerator[Origin]:
    """No test of this file may reach it by another name than ``home.test``."""
    async with serving_origin() as canary:
        yield canary


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "10.0.0.1"],
        [PUBLIC, "::1"],
        [PUBLIC, "::ffff:93.184.216.34"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::1"],
        ["2001:0:7f00:1::1"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["fe80::1%lo"],
        ["0.0.0.0"],  # noqa: S104
        ["::"],
        [],
    ],
)
async def test_a_name_with_one_unfit_address_is_refused(
    egress: Egress, names: Names, canary: Origin, answers: list[str]
) -> None:
    names["two-faced.test"] = [answers]
    url = f"http://two-faced.test:{canary.port}/"

    result = await egress.run(FETCH, f"two-faced.test:{canary.port}", url=url)

    assert "two-faced.test resolves to an address that is not public" in result.result
    assert canary.asked == []


async def test_an_allowed_private_host_is_not_a_way_to_metadata(
    egress: Egress, names: Names
) -> None:
    names["home.test"] = [["127.0.0.1", "169.254.169.254"]]

    result = await egress.run(FETCH, "home.test", private="home.test", url="http://home.test/")

    assert "not public" in result.result


async def test_what_a_name_becomes_after_the_check_is_harmless(
    egress: Egress, names: Names, canary: Origin
) -> None:
    """Each connection asks once: there is no second answer to slip in."""
    names["rebinding.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    authority = f"rebinding.test:{canary.port}"

    first = await egress.run(FETCH, authority, private="rebinding.test", url=f"http://{authority}/")

    assert '"method": "GET"' in first.result
    assert names.asked == ["rebinding.test"]

    canary.says("/bye", response(b"", "Connection: close"))
    await egress.run(FETCH, authority, private="rebinding.test", url=f"http://{authority}/bye")
    later = await egress.run(FETCH, authority, private="rebinding.test", url=f"http://{authority}/")

    assert "not public" in later.result
    assert names.asked == ["rebinding.test"] * 2


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://localhost:{port}/",
        "http://localhost.:{port}/",
        "http://inner.test:{port}/",
        "http://home.test:{port}@127.0.0.1:{port}/",
        "http://home.test\\@127.0.0.1:{port}/",
        "http://１２７.０.０.１:{port}/",  # noqa: RUF001
        "http://127。0。0。1:{port}/",
        "file:///etc/passwd",
        "gopher://home.test:{port}/",
        "http://home.test:1/",
    ],
)
async def test_each_hop_of_a_redirect_is_checked_anew(
    egress: Egress, names: Names, canary: Origin, location: str
) -> None:
    async with serving_origin() as origin:
        names["home.test"] = [["127.0.0.1"]]
        names["inner.test"] = names["localhost"] = [["127.0.0.1"]]
        names["127.0.0.1"] = [["127.0.0.1"]]
        target = location.format(port=canary.port)
        origin.says("/", response(b"", f"Location: {target}", status="302 There"))
        hosts = [f"{host}:{canary.port}" for host in ("127.0.0.1", "inner.test", "localhost")]

        result = await egress.run(
            FETCH,
            *(f"home.test:{origin.port}", *hosts, "[::ffff:127.0.0.1]", "2130706433"),
            private="home.test",
            url=f"http://home.test:{origin.port}/",
        )

    assert "Error" in result.result or "InvalidURL" in result.result, result.result
    assert len(origin.asked) == 1
    assert canary.asked == []


async def test_a_redirect_stays_inside_method_and_path(egress: Egress, names: Names) -> None:
    async with serving_origin() as origin:
        names["home.test"] = [["127.0.0.1"]]
        authority = f"home.test:{origin.port}"
        for start, end in (("/v1/in", "/v1/x"), ("/v1/out", "/v2/x"), ("/v1/up", "/v1/%2e%2e/x")):
            origin.answers[start] = _redirect(end)

        async def fetch(path: str) -> RunResult:
            return await egress.run(
                FETCH,
                f"GET {authority}/v1",
                private="home.test",
                url=f"http://{authority}{path}",
            )

        assert '"/v1/x"' in (await fetch("/v1/in")).result
        outside = await fetch("/v1/out")
        assert "home.test is granted for GET below /v1 only" in outside.result
        assert [one.status for one in outside.egress] == [302, None]
        assert "is not accepted" in (await fetch("/v1/up")).result
        assert [one.target for one in origin.asked].count("/v2/x") == 0


async def test_a_name_server_that_never_answers_holds_up_nobody_else(
    children: Bench,
) -> None:
    asked = asyncio.Event()

    async def slow(host: str, port: int) -> list[str]:
        del port
        if host == "slow.test":
            asked.set()
            await asyncio.Event().wait()
        return ["127.0.0.1"]

    async with egress_through(children.pool, slow) as egress, serving_origin() as origin:
        waiting = asyncio.ensure_future(
            egress.run(FETCH, "slow.test", private="slow.test", url="http://slow.test/")
        )
        await asked.wait()
        url = f"http://home.test:{origin.port}/"
        other = await egress.run(FETCH, f"home.test:{origin.port}", private="home.test", url=url)

        assert '"method": "GET"' in other.result
        assert "could not be reached in time" in (await waiting).result


async def test_names_that_nobody_waits_for_any_more_still_count(children: Bench) -> None:
    """Each holds a thread; a tool that gives up and asks again must not take them all."""
    waiting = most = 0
    enough = asyncio.Event()

    async def slow(host: str, port: int) -> list[str]:
        nonlocal waiting, most
        del host, port
        waiting += 1
        most = max(most, waiting)
        await enough.wait()
        waiting -= 1
        return ["127.0.0.1"]

    code = """
import asyncio
async def main():
    for _ in range(20):
        try:
            async with asyncio.timeout(0.02):
                await http.get("http://slow.test/")
        except TimeoutError:
            pass
"""
    async with egress_through(children.pool, slow) as egress:
        result = await egress.run(code, "slow.test", private="slow.test")
        enough.set()

    assert result.error is None, result.error
    assert most == 8
    assert len(result.egress) == 20


async def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving_origin() as proxy, serving_origin() as origin:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with bench() as children, egress_through(children.pool) as egress:
            result = await egress.run(FETCH, origin.authority, url=origin.url)

    assert '"method": "GET"' in result.result
    assert len(origin.asked) == 1
    assert proxy.asked == []


def _redirect(location: str) -> Answer:
    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"", f"Location: {location}", status="302 There"))

    return answer
