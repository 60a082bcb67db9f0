"""Names, certificates and HTTP/2: the address is pinned, everything else stays on the name."""

import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sandbox.egress import Egress, Names, egress_through
from tests.integration.sandbox.h2_origin import H2Origin, serving_h2
from tests.integration.sandbox.origin import serving_origin
from tests.integration.sandbox.pools import bench
from tests.integration.sandbox.tls import Authority

HOST = "api.approved.test"
FETCH = """
import httpx
async def main(url):
    try:
        answer = await http.get(url)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return [answer.http_version, answer.json()]
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.in_(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def names() -> Names:
    names = Names()
    names[HOST] = [["127.0.0.1"]]
    names["other.test"] = [["127.0.0.1"]]
    return names


@pytest.fixture
async def egress(authority: Authority, names: Names) -> AsyncGenerator[Egress]:
    async with (
        bench() as children,
        egress_through(children.pool, names.resolve, authority.trusting()) as egress,
    ):
        yield egress


@pytest.fixture
async def h2(authority: Authority) -> AsyncGenerator[H2Origin]:
    async with serving_h2(authority.serving(HOST)) as origin:
        yield origin


def asked_by(context: ssl.SSLContext) -> list[str | None]:
    """The server names that clients ask this context for, as they come."""
    seen: list[str | None] = []

    def note(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        seen.append(name)

    context.sni_callback = note
    return seen


async def test_certificate_sni_and_host_are_those_of_the_name(
    authority: Authority, names: Names, egress: Egress
) -> None:
    context = authority.serving(HOST)
    asked = asked_by(context)
    async with serving_origin(context) as origin:
        url = f"https://{HOST}:{origin.port}/"

        result = await egress.run(FETCH, f"{HOST}:{origin.port}", private=HOST, url=url)

    version, said = result.result
    assert version == "HTTP/1.1"
    assert said["headers"]["host"] == f"{HOST}:{origin.port}"
    assert asked == [HOST]
    assert names.asked == [HOST]


async def test_the_certificate_of_another_name_is_refused(
    authority: Authority, egress: Egress
) -> None:
    async with serving_origin(authority.serving("other.test")) as origin:
        url = f"https://{HOST}:{origin.port}/"

        result = await egress.run(FETCH, f"{HOST}:{origin.port}", private=HOST, url=url)

    assert "CERTIFICATE_VERIFY_FAILED" in result.result
    assert origin.asked == []


@pytest.mark.parametrize("option", ["verify=False", "verify=False, http2=True"])
async def test_a_tool_cannot_wave_a_certificate_through(
    tmp_path: Path, egress: Egress, option: str
) -> None:
    code = f"""
import httpx
async def main(url):
    async with httpx.AsyncClient({option}) as client:
        try:
            await client.get(url)
        except httpx.ConnectError as error:
            return str(error)
"""
    async with serving_origin(Authority.in_(tmp_path).serving(HOST)) as origin:
        url = f"https://{HOST}:{origin.port}/"

        result = await egress.run(code, f"{HOST}:{origin.port}", private=HOST, url=url)

    assert "CERTIFICATE_VERIFY_FAILED" in result.result
    assert origin.asked == []


async def test_http2_is_spoken_where_the_host_speaks_it(egress: Egress, h2: H2Origin) -> None:
    code = """
async def main(url):
    answers = [await http.post(url, json=[number], headers={"X-A": "b"}) for number in range(3)]
    return [[one.http_version, one.reason_phrase, one.json()] for one in answers]
"""
    authority = f"{HOST}:{h2.port}"

    result = await egress.run(code, authority, private=HOST, url=f"https://{authority}/v1?a=b")

    assert result.error is None, result.error
    answers: list[Any] = result.result
    assert [version for version, _, _ in answers] == ["HTTP/2"] * 3
    assert answers[0][1] == "OK"
    assert [said["body"] for _, _, said in answers] == ["[0]", "[1]", "[2]"]
    headers = answers[0][2]["headers"]
    assert headers[":authority"] == authority
    assert headers[":path"] == "/v1?a=b"
    assert headers["x-a"] == "b"
    assert h2.connections == 1


async def test_an_http2_response_closed_early_holds_up_no_later_one(
    egress: Egress, h2: H2Origin
) -> None:
    """httpcore resets no stream: its connection would be filled by what nobody reads."""
    code = """
async def main(base):
    for _ in range(4):
        async with http.stream("GET", base + "/endless") as answer:
            async for part in answer.aiter_raw():
                break
    return (await http.get(base + "/after")).json()["connection"]
"""
    authority = f"{HOST}:{h2.port}"

    result = await egress.run(code, authority, private=HOST, base=f"https://{authority}")

    assert result.error is None, result.error
    assert result.result > 1
    await h2.gone.wait()


async def test_many_requests_share_one_http2_connection(egress: Egress, h2: H2Origin) -> None:
    code = """
import asyncio
async def main(url):
    await http.get(url)
    answers = await asyncio.gather(*(http.get(url) for _ in range(8)))
    return [one.json()["connection"] for one in answers]
"""
    authority = f"{HOST}:{h2.port}"

    result = await egress.run(code, authority, private=HOST, url=f"https://{authority}/")

    assert result.result == [1] * 8
