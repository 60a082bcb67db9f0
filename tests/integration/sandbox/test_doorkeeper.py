"""Clients that take their time are cut off, and no others."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from sandbox.doorkeeper import Doorkeeper

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n"
OK = b"HTTP/1.1 200 OK"


class Impatient(Doorkeeper):
    receive_s = 0.2


class Echo:
    """Answers when it has the whole body; knows when a client was cut off before that."""

    def __init__(self) -> None:
        self.cut_off = asyncio.Event()
        self.answer_now = asyncio.Event()
        self.answer_now.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.cut_off.set()
                return
            more = message["more_body"]
        await self.answer_now.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self.is_up.set()


@pytest.fixture
def app() -> Echo:
    return Echo()


@pytest.fixture
async def port(app: Echo) -> AsyncGenerator[int]:
    server = _Server(
        uvicorn.Config(
            app,
            http=Impatient,
            host="127.0.0.1",
            port=0,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve())
    await server.is_up.wait()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def answer_to(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("begun", [b"", b"G", GET[:-2], GET + GET[:5]])
async def test_a_request_that_is_not_finished_in_time_is_ended(port: int, begun: bytes) -> None:
    answer = await answer_to(port, begun)

    assert answer.startswith(OK) == begun.startswith(GET)
    assert b"HTTP/1.1 408 Request Timeout" in answer


async def test_a_body_that_is_not_finished_in_time_is_ended(port: int, app: Echo) -> None:
    assert await answer_to(port, POST + b"12345") == b""
    await asyncio.wait_for(app.cut_off.wait(), 5)


async def test_a_request_that_takes_its_time_to_be_answered_is_left_alone(
    port: int, app: Echo
) -> None:
    app.answer_now.clear()
    asyncio.get_running_loop().call_later(3 * Impatient.receive_s, app.answer_now.set)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST + b"1234567890")
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"ok")
        writer.write(GET)  # and the connection may be used again
        again = await reader.readuntil(b"ok")
    writer.close()

    assert answer.startswith(OK)
    assert again.startswith(OK)
