"""Whatever is sent to the socket, it is answered or cut off, and the service goes on."""

import asyncio
import re
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from sandbox.doorkeeper import MAX_HEADER_BYTES
from tests.instances import free_ports
from tests.integration.sandbox.held import ONE, request, run_of
from tests.integration.sandbox.running import running

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Connection]]
_MUCH = 2**20
HEALTH = request("GET", "/health", connection="keep-alive")
DEEP = b"[" * 500_000
NESTED = b'{"bundle_key": "a", "arguments": {"a": ' + DEEP
HUGE = b"x" * (9 * 2**20)
HEAD = b"POST /runs HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n"

ANSWERED: dict[str, tuple[bytes, int]] = {
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a proxy's request": (
        b"CONNECT db:5432 HTTP/1.1\r\nhost: db:5432\r\nconnection: close\r\n\r\n",
        400,
    ),
    "another protocol": (
        request("GET", "/runs", connection="upgrade", upgrade="websocket"),
        405,
    ),
    "two lengths": (HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n{}", 400),
    "a negative length": (HEAD + b"content-length: -1\r\n\r\n", 400),
    "length and chunks": (
        HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "no key": (request("POST", "/runs", {}, key=""), 401),
    "a wrong key": (request("POST", "/runs", {}, key="k" * 100), 401),
    "a key that is no text": (request("POST", "/runs", {}, key="\xff\xfe"), 401),
    "no key for a huge body": (request("POST", "/runs", HUGE, key="no"), 401),
    "metrics without a key": (request("GET", "/metrics", key=""), 401),
    "an empty body": (request("POST", "/runs"), 422),
    "no JSON": (request("POST", "/runs", b"\x00\xff"), 422),
    "a form": (
        request("POST", "/runs", b"a=1", content_type="application/x-www-form-urlencoded"),
        422,
    ),
    "deep JSON": (request("POST", "/runs", DEEP), 422),
    "deep arguments": (request("POST", "/runs", NESTED), 422),
    "deep code to check": (request("POST", "/checks", DEEP), 422),
    "another object": (request("POST", "/runs", {"bundle_key": 1, "extra": {}}), 422),
    "a huge body": (request("POST", "/runs", HUGE), 413),
    "a large body to check": (request("POST", "/checks", HUGE[: 3 * 2**20]), 413),
    "an unknown bundle": (request("POST", "/runs", {"bundle_key": "\x00" * 1000}), 404),
    "a run that is not there": (request("DELETE", "/runs/%00/../..%2f"), 404),
    "an unknown path": (request("GET", "/../../etc/passwd"), 404),
    "another method": (request("PATCH", "/runs"), 405),
}


@pytest.fixture(scope="module", params=["unix", "tcp"])
async def connect(request: pytest.FixtureRequest) -> AsyncGenerator[Connect]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as name:
        directory = Path(name)
        [port] = free_ports(1)

        async def unix() -> Connection:
            return await asyncio.open_unix_connection(str(directory / "sandbox.sock"))

        async def tcp() -> Connection:
            return await asyncio.open_connection("127.0.0.1", port)

        over_tcp = {"SOCKET": "", "BIND": f"127.0.0.1:{port}", "POOL_SIZE": "1"}
        settings = {"POOL_SIZE": "1"} if request.param == "unix" else over_tcp
        async with running(directory, settings):
            yield unix if request.param == "unix" else tcp


async def said(connect: Connect, sent: bytes) -> bytes:
    """All that is answered until the connection ends."""
    reader, writer = await connect()
    try:
        writer.write(sent)
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


async def works(connect: Connect) -> None:
    run = request("POST", "/runs", run_of(ONE))
    assert b'"ok":true,"result":1' in await said(connect, run)


@pytest.mark.parametrize("what", ANSWERED)
async def test_it_is_told_what_is_wrong_and_nothing_breaks(connect: Connect, what: str) -> None:
    sent, status = ANSWERED[what]

    answer = await said(connect, sent)

    # Who still sends when the connection is closed may not get to read the answer.
    cut_off = not answer and len(sent) > _MUCH
    assert cut_off or statuses(answer)[:1] == [status]
    assert b"Traceback" not in answer
    assert len(answer) < 4000
    await works(connect)


async def test_headers_without_an_end_are_cut_off(connect: Connect) -> None:
    answer = await said(connect, HEAD + b"x: " + b"y" * 50 * MAX_HEADER_BYTES)

    assert statuses(answer) in ([431], [])
    await works(connect)


async def test_a_body_that_says_nothing_of_its_size_is_cut_off(connect: Connect) -> None:
    chunk = b"%x\r\n%s\r\n" % (2**20, b"x" * 2**20)
    head = request("POST", "/runs").replace(b"content-length: 0", b"transfer-encoding: chunked")

    answer = await said(connect, head + 9 * chunk + b"0\r\n\r\n")

    assert statuses(answer) in ([413], [])
    await works(connect)


async def test_an_error_is_told_in_few_words_however_much_is_wrong(connect: Connect) -> None:
    wrong = {"bundle_key": "a", "bundle": {"code": "", "modules": [1] * 50_000}}

    answer = await said(connect, request("POST", "/runs", wrong))

    assert statuses(answer) == [422]
    assert b"and 49995 more" in answer
    assert len(answer) < 2000


async def test_requests_in_one_go_are_answered_one_after_the_other(connect: Connect) -> None:
    one = request("POST", "/runs", run_of(ONE), connection="keep-alive")
    answer = await said(connect, (one + HEALTH) * 10 + request("GET", "/"))

    assert statuses(answer) == [200] * 20 + [404]


async def test_who_hangs_up_anywhere_leaves_nothing_behind(connect: Connect) -> None:
    whole = request("POST", "/runs", run_of(ONE))
    for length in range(0, len(whole), len(whole) // 40):
        _, writer = await connect()
        writer.write(whole[:length])
        writer.transport.abort()

    health = await said(connect, request("GET", "/health"))

    assert statuses(health) == [200]
    await works(connect)


async def test_all_connections_together_are_bounded(connect: Connect) -> None:
    """The newest are cut off; those that were there go on."""
    first = await connect()
    others = [await connect() for _ in range(600)]
    first[1].write(request("GET", "/health"))

    async with asyncio.timeout(30):
        answer = await first[0].read()
        ended = await others[-1][0].read()
    for _, writer in (first, *others):
        writer.close()

    assert statuses(answer) == [200]
    assert ended == b""
    async with asyncio.timeout(30):
        while not await said(connect, request("GET", "/health")):
            pass  # it has not seen yet that they are gone
    await works(connect)
