"""Hosts that send too much, too slowly or nonsense, and tools that ask too much."""

import asyncio
import gzip
import time
from collections.abc import AsyncGenerator

import pytest

from sandbox.channel import MAX_BODY_BYTES
from sandbox.contract import ErrorKind, RunLimits
from sandbox.egress import Caps
from tests.integration.sandbox.egress import Egress, egress_through
from tests.integration.sandbox.origin import Asked, Origin, response, serving_origin
from tests.integration.sandbox.pools import bench

CAPS = Caps(
    requests=5,
    at_once=2,
    request_bytes=1000,
    sending_bytes=1600,
    response_bytes=2000,
    received_bytes=5000,
    head_bytes=1500,
    request_s=0.5,
)
FETCH = """
import httpx
async def main(url, method="GET", size=0, times=1):
    for _ in range(times):
        try:
            answer = await http.request(method, url, content=bytes(size), timeout=None)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
    return len(answer.content)
"""


@pytest.fixture(scope="module")
async def egress() -> AsyncGenerator[Egress]:
    async with bench() as children, egress_through(children.pool, caps=CAPS) as egress:
        yield egress


@pytest.fixture(scope="module")
async def roomy() -> AsyncGenerator[Egress]:
    """With the caps of the service."""
    async with bench() as children, egress_through(children.pool) as egress:
        yield egress


@pytest.fixture
async def origin() -> AsyncGenerator[Origin]:
    async with serving_origin() as origin:
        yield origin


async def test_a_request_body(egress: Egress, origin: Origin) -> None:
    result = await egress.run(FETCH, origin.authority, url=origin.url, method="POST", size=1001)

    assert result.result == "ConnectError: Refused: a request body may have 1000 bytes."
    assert result.egress[0].refused is not None
    assert origin.asked == []


async def test_an_endless_upload(roomy: Egress, origin: Origin) -> None:
    code = """
import httpx
async def endless():
    while True:
        yield bytes(2**16)
def blocking():
    while True:
        yield bytes(2**16)
async def main(url):
    said = []
    try:
        await http.post(url, content=endless())
    except httpx.WriteError as error:
        said.append(str(error))
    try:
        httpx.post(url, content=blocking())
    except httpx.WriteError as error:
        said.append(str(error))
    return said
"""

    result = await roomy.run(code, origin.authority, url=origin.url)

    assert result.result == [f"Refused: a request body may have {MAX_BODY_BYTES} bytes."] * 2
    assert origin.asked == []


@pytest.mark.parametrize("announced", ["", "Content-Length: 2001\r\n"])
async def test_a_response(egress: Egress, origin: Origin, announced: str) -> None:
    url = origin.says("/", f"HTTP/1.1 200 OK\r\n{announced}\r\n".encode() + bytes(2001))

    result = await egress.run(FETCH, origin.authority, url=url)

    assert result.result == "ReadError: a response may have 2000 bytes"
    assert result.egress[0].status == 200


async def test_an_endless_response(egress: Egress, origin: Origin) -> None:
    async def endless(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"64\r\n" + bytes(100) + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    result = await egress.run(FETCH, origin.authority, url=origin.does("/", endless))

    assert result.result == "ReadError: a response may have 2000 bytes"
    await origin.gone.wait()


async def test_the_responses_of_a_call(egress: Egress, origin: Origin) -> None:
    url = origin.says("/", response(bytes(1900)))

    result = await egress.run(FETCH, origin.authority, url=url, times=5)

    assert result.result == "ReadError: the responses of one call may have 5000 bytes"
    assert len(result.egress) == 3


async def test_the_requests_of_a_call(egress: Egress, origin: Origin) -> None:
    result = await egress.run(FETCH, origin.authority, url=origin.url, times=6)

    assert result.result == "ConnectError: Refused: one call may make 5 requests."
    assert len(origin.asked) == 5
    last = result.egress[-1]
    assert (last.method, last.host, last.status) == ("GET", "localhost", None)
    assert last.refused == "one call may make 5 requests"


async def test_requests_that_go_on_after_all_refusals(egress: Egress, origin: Origin) -> None:
    code = """
import httpx
async def main(url):
    refused = 0
    for _ in range(300):
        try:
            await http.get(url)
        except httpx.ConnectError as error:
            refused += 1
            said = str(error)
    return [refused, said]
"""

    result = await egress.run(code, origin.authority, url=origin.url)

    assert result.result == [295, "Refused: one call may make no more requests."]
    assert len(origin.asked) == 5
    assert len(result.egress) == 101
    assert result.egress[-1].refused == "… and 155 more"


async def test_requests_at_a_time(egress: Egress, origin: Origin) -> None:
    code = """
import asyncio, httpx
async def main(url):
    answers = await asyncio.gather(*(http.get(url) for _ in range(3)), return_exceptions=True)
    return [str(one) for one in answers]
"""
    waiting = asyncio.Barrier(2)

    async def both(_: Asked, writer: asyncio.StreamWriter) -> None:
        await waiting.wait()
        await asyncio.sleep(0.2)  # the third is to come while they are under way
        writer.write(response(b""))

    result = await egress.run(code, origin.authority, url=origin.does("/", both))

    assert result.result == [
        "<Response [200 OK]>",
        "<Response [200 OK]>",
        "Refused: 2 requests may run at a time.",
    ]


async def test_the_bodies_of_requests_at_a_time(egress: Egress, origin: Origin) -> None:
    code = """
import asyncio
async def main(url):
    first = asyncio.create_task(http.post(url, content=bytes(900)))
    await http.get(url + "arrived")
    try:
        await http.post(url, content=bytes(900))
    except Exception as error:
        refusal = str(error)
    await http.get(url + "release")
    await first
    again = await http.post(url, content=bytes(900))
    return [(await first).status_code, refusal, again.status_code]
"""
    arrived, released = asyncio.Event(), asyncio.Event()

    async def hold(_: Asked, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await released.wait()
        writer.write(response(b""))

    async def tell(_: Asked, writer: asyncio.StreamWriter) -> None:
        await arrived.wait()
        writer.write(response(b""))

    async def release(_: Asked, writer: asyncio.StreamWriter) -> None:
        released.set()
        writer.write(response(b""))

    origin.does("/arrived", tell)
    origin.does("/release", release)
    result = await egress.run(code, origin.authority, url=origin.does("/", hold))

    said = "Refused: requests that run at a time may have 1600 bytes together."
    assert result.result == [200, said, 200], result


async def test_the_bodies_of_requests_one_after_the_other(egress: Egress, origin: Origin) -> None:
    async def and_hang_up(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"", "Connection: close"))

    url = origin.does("/", and_hang_up)
    for _ in range(20):
        result = await egress.run(
            FETCH, origin.authority, url=url, method="POST", size=900, times=5
        )
        assert result.result == 0, result


async def test_the_headers_of_a_response(egress: Egress, origin: Origin) -> None:
    lines = "".join(f"X-{number}: {'v' * 90}\r\n" for number in range(17))
    url = origin.says("/", f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode())

    result = await egress.run(FETCH, origin.authority, url=url)

    assert result.result == "ReadError: response headers may have 1500 bytes"


async def test_headers_without_an_end(egress: Egress, origin: Origin) -> None:
    async def endless(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"v" * 1000 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    result = await egress.run(FETCH, origin.authority, url=origin.does("/", endless))

    assert str(result.result).startswith("RemoteProtocolError: localhost did not answer in valid")


@pytest.mark.parametrize("place", ["headers", "body"])
async def test_a_response_that_drips(egress: Egress, origin: Origin, place: str) -> None:
    """Each byte comes in time, the whole never does: the cap is on the whole."""

    async def drip(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if place == "body" else b"X-Long: "))
        gone = asyncio.ensure_future(asked.hung_up())
        while not gone.done():
            writer.write(b"x")
            await asyncio.wait((gone,), timeout=0.01)
        writer.close()

    result = await egress.run(FETCH, origin.authority, url=origin.does("/", drip))

    assert result.result == "ReadTimeout: the request took longer than 0.5 s in all"
    await origin.gone.wait()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01 this is not HTTP\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"9" * 40 + b"\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
        b"",
    ],
)
async def test_an_answer_that_is_not_http(egress: Egress, origin: Origin, raw: bytes) -> None:
    result = await egress.run(FETCH, origin.authority, url=origin.says("/", raw))

    assert str(result.result).startswith("RemoteProtocolError: ")
    assert result.egress[0].refused is None


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n"
        % (b"1\r\na\r\n" * 20000),
        b"HTTP/1.1 103 \r\n\r\n" * 8000 + b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["tiny chunks", "answers that are none yet"],
)
async def test_what_is_costly_to_take_apart_lets_others_be_served(
    roomy: Egress, origin: Origin, raw: bytes
) -> None:
    stretches: list[float] = []

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            stretches.append(time.thread_time() - before)

    watching = asyncio.create_task(watch())
    began = time.thread_time()
    result = await roomy.run(FETCH, origin.authority, url=origin.says("/", raw))
    watching.cancel()

    assert result.result in {20000, 0}, result
    assert max(stretches) < (time.thread_time() - began) / 4


async def test_a_gzip_bomb_bursts_in_the_process_of_the_tool(roomy: Egress, origin: Origin) -> None:
    bomb = gzip.compress(bytes(2**29), 1)
    url = origin.says("/", response(bomb, "Content-Encoding: gzip"))

    result = await roomy.run(
        FETCH, origin.authority, url=url, limits=RunLimits(memory_bytes=2**26, wall_s=20)
    )

    assert result.error is not None
    assert result.error.kind is ErrorKind.MEMORY
    assert (await roomy.run(FETCH, origin.authority, url=f"{origin.url}/next")).result > 0


async def test_what_really_happened_is_recorded(roomy: Egress, origin: Origin) -> None:
    code = """
import httpx
async def main(base, port):
    await http.post(base + "/a", content=b"12345")
    for url in ("http://evil.test/", "not a url", f"http://localhost:{port}/"):
        try:
            await http.get(url)
        except (httpx.HTTPError, httpx.InvalidURL):
            pass
"""

    result = await roomy.run(code, origin.authority, "localhost:1", base=origin.url, port=1)

    sent, refused, unreadable, nowhere = result.egress
    assert (sent.method, sent.host, sent.status, sent.sent_bytes) == ("POST", "localhost", 200, 5)
    assert sent.received_bytes > 100
    assert 0 < sent.duration_ms < 10_000
    assert (refused.host, refused.status) == ("evil.test", None)
    assert refused.refused is not None
    assert "evil.test:80 is not granted" in refused.refused
    assert unreadable.host == "?"
    assert (nowhere.host, nowhere.status, nowhere.refused) == ("localhost", None, None)
