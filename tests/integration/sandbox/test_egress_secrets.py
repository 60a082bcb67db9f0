"""Secrets that are bound to hosts: the tool works with them, and never has them."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from sandbox.contract import RunResult
from tests.integration.sandbox.egress import Egress, bound, egress_through
from tests.integration.sandbox.origin import Asked, Origin, response, serving_origin
from tests.integration.sandbox.pools import bench

VALUE = "s3cr3t/valüe+of a kind"


@pytest.fixture(scope="module")
async def egress() -> AsyncGenerator[Egress]:
    async with bench() as children, egress_through(children.pool) as egress:
        yield egress


@pytest.fixture
async def api() -> AsyncGenerator[Origin]:
    async with serving_origin() as origin:
        yield origin


@pytest.fixture
async def other() -> AsyncGenerator[Origin]:
    async with serving_origin() as origin:
        yield origin


async def run(egress: Egress, code: str, api: Origin, *others: Origin, **given: Any) -> RunResult:
    authorities = [origin.authority for origin in (api, *others)]
    secrets = bound(api.authority, KEY=VALUE)
    return await egress.run(code, *authorities, secrets=secrets, url=api.url, **given)


async def test_every_place_of_a_request_gets_the_value(egress: Egress, api: Origin) -> None:
    code = """
async def main(url):
    key = secrets["KEY"]
    await http.post(f"{url}/bot{key}?token={key}", auth=("me", key), json={"key": key})
    await http.post(url, data={"key": key}, params={"key": key})
    await http.post(url, files={"file": ("a.txt", key.encode())})
    return key
"""

    result = await run(egress, code, api)

    assert VALUE not in result.model_dump_json()
    first, second, third = api.asked
    quoted = "s3cr3t%2Fval%C3%BCe%2Bof%20a%20kind"
    assert first.target == f"/bot{quoted}?token={quoted}"
    pair = base64.b64encode(f"me:{VALUE}".encode()).decode()
    assert first.header("authorization") == f"Basic {pair}"
    assert json.loads(first.body) == {"key": VALUE}
    assert second.body == b"key=s3cr3t%2Fval%C3%BCe%2Bof+a+kind"
    assert second.target == f"/?key={quoted}"
    assert VALUE.encode() in third.body
    for asked in api.asked:
        assert asked.header("content-length") == str(len(asked.body))
        assert result.result not in f"{asked.target} {asked.headers} {asked.body!r}"
    assert result.egress[0].sent_bytes == len(first.body)


async def test_a_host_that_says_everything_back_says_the_stand_in(
    egress: Egress, api: Origin
) -> None:
    code = """
async def main(url):
    key = secrets["KEY"]
    answer = await http.post(url, auth=("me", key), json=[key], params={"k": key})
    said = answer.json()
    again = await http.post(url, content=said["body"])
    shown = [answer.text, again.text, str(answer.headers)]
    return [key in said["body"], key in said["target"], shown]
"""

    result = await run(egress, code, api)

    shown = json.dumps(result.result, ensure_ascii=False)
    assert result.result[:2] == [True, True]
    assert "s3cr3t" not in shown
    assert base64.b64encode(f"me:{VALUE}".encode()).decode() not in shown
    assert api.asked[0].header("accept-encoding") == "identity"


async def test_headers_reasons_and_chunks_hide_it_too(egress: Egress, api: Origin) -> None:
    async def leaking(_: Asked, writer: Any) -> None:
        secret = VALUE.encode()
        writer.write(
            b"HTTP/1.1 200 got " + secret.replace("ü".encode(), b"") + b"\r\n"
            b"X-Echo: " + secret + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for byte in b"<" + secret + b">":
            writer.write(b"1\r\n" + bytes([byte]) + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    api.does("/", leaking)
    code = """
async def main(url):
    answer = await http.get(url)
    key = secrets["KEY"]
    return [answer.text == f"<{key}>", answer.headers["x-echo"] == key]
"""

    result = await run(egress, code, api)

    assert result.result == [True, True]


async def test_an_answer_that_cannot_be_searched_is_not_passed_on(
    egress: Egress, api: Origin
) -> None:
    api.says("/", response(b"whatever", "Content-Encoding: gzip"))
    code = """
import httpx
async def main(url):
    try:
        await http.get(url)
    except httpx.RemoteProtocolError as error:
        return str(error)
"""

    result = await run(egress, code, api)

    assert result.result.startswith("the answer is compressed, though that was not asked for")


@pytest.mark.parametrize(
    "request_of",
    [
        'http.get(other, headers={"X-Key": key})',
        'http.get(other, params={"key": key})',
        "http.post(other, content=key)",
        'http.get(other, auth=("me", key))',
        'http.get(url + "/away", headers={"X-Key": key}, follow_redirects=True)',
        'http.post(url + "/keep", json=key, follow_redirects=True)',
        'http.get(url + "/say", follow_redirects=True)',
    ],
)
async def test_no_other_host_is_sent_it(
    egress: Egress, api: Origin, other: Origin, request_of: str
) -> None:
    away = f"Location: {other.url}"
    api.says("/away", response(b"", f"{away}/", status="302 There"))
    api.says("/keep", response(b"", f"{away}/", status="308 There"))
    api.says(
        "/say", response(b"", f"{away}/?key=s3cr3t%2Fval%C3%BCe%2Bof%20a%20kind", status="302 X")
    )
    code = f"""
import httpx
async def main(url, other):
    key = secrets["KEY"]
    try:
        await {request_of}
    except httpx.ConnectError as error:
        return str(error)
"""

    result = await run(egress, code, api, other, other=other.url)

    said = f"the secret 'KEY' may be sent to {api.authority} only, not to localhost"
    assert result.result == f"Refused: {said}."
    assert result.egress[-1].refused == said
    assert other.asked == []


async def test_a_bound_host_that_is_not_granted_is_refused(egress: Egress, api: Origin) -> None:
    code = """
import httpx
async def main(url):
    try:
        await http.get(url, headers={"X-Key": secrets["KEY"]})
    except httpx.ConnectError as error:
        return str(error)
"""
    secrets = bound(api.authority, KEY=VALUE)

    result = await egress.run(code, "localhost:1", secrets=secrets, url=api.url)

    assert "is not granted" in result.result
    assert api.asked == []


async def test_a_secret_cannot_lead_out_of_a_granted_path(egress: Egress, api: Origin) -> None:
    code = """
import httpx
async def main(url):
    try:
        await http.get(url + "/v1/" + secrets["KEY"])
    except httpx.ConnectError as error:
        return str(error)
"""
    secrets = bound(api.authority, KEY="../admin")

    result = await egress.run(code, f"{api.authority}/v1", secrets=secrets, url=api.url)

    assert "localhost is granted for every method below /v1 only" in result.result
    assert api.asked == []


async def test_the_tool_is_given_stand_ins_alone(egress: Egress, api: Origin) -> None:
    code = """
async def main(url):
    await http.get(url, headers={"X-Key": secrets["KEY"]})
    return dict(secrets)
"""

    result = await run(egress, code, api)

    assert list(result.result) == ["KEY"]
    assert "s3cr3t" not in str(result.result)


async def test_a_secret_that_is_not_set_says_so(egress: Egress) -> None:
    code = """
async def main():
    return [secrets.get("MISSING"), "MISSING" in secrets, secrets["MISSING"]]
"""

    result = await egress.run(code)

    assert result.error is not None
    assert "the secret MISSING is not set on this server; a person has to" in result.error.message


async def test_secrets_cannot_be_written(egress: Egress) -> None:
    code = """
async def main():
    secrets["KEY"] = "mine"
"""

    result = await egress.run(code, secrets=bound(KEY="v"))

    assert result.error is not None
    assert "TypeError" in result.error.message
