"""A small web server for tools to call, on a free port of the loopback address."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from typing import cast
from urllib.parse import unquote

BIG_BYTES = 11 * 2**20
BOMB_BYTES = 600 * 2**20
SLOW_S = 8


class Web:
    """``answer``, where given, is said to whatever is asked: a canary."""

    def __init__(self, answer: str | None = None) -> None:
        self.port = 0
        self.arrived = asyncio.Event()
        """Set by each request for ``/hold``, which then waits for ``release``."""
        self.release = asyncio.Event()
        self.asked: list[str] = []
        self._answer = answer
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def hang_up(self) -> None:
        """On all that are still being served."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            self.asked.append(target)
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            writer.write(await self._respond(method, target, headers, body))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass  # whoever hangs up, or speaks no HTTP, gets no answer
        finally:
            writer.close()

    async def _respond(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> bytes:
        path, _, query = target.partition("?")
        if self._answer is not None:
            return _response(self._answer.encode())
        match path:
            case "/hold":
                self.arrived.set()
                await self.release.wait()
                return _response(b"{}")
            case "/json":
                return _response(b'{"hello": "world", "n": 42}')
            case "/echo":
                said = {
                    "method": method,
                    "headers": headers,
                    "body": body.decode("latin-1"),
                    "query": query,
                }
                return _response(json.dumps(said).encode())
            case "/slow":
                await asyncio.sleep(SLOW_S)
                return _response(b"{}")
            case _:
                return _unchanging(path, query)


def _unchanging(path: str, query: str) -> bytes:
    match path:
        case "/gzip":
            return _response(gzip.compress(b'{"gz": true}'), "Content-Encoding: gzip")
        case "/bomb":
            return _response(_bomb(), "Content-Encoding: gzip")
        case "/cookie":
            return _response(b"{}", "Set-Cookie: sid=abc; Path=/")
        case "/redir":
            return _response(b"", f"Location: {unquote(query)}", status="302 Found")
        case "/big":
            return _response(b"x" * BIG_BYTES)
        case _:
            return _response(b"{}", status="404 Not Found")


@cache
def _bomb() -> bytes:
    """Small, until it is unpacked."""
    return gzip.compress(bytes(BOMB_BYTES), 1)


@asynccontextmanager
async def serving(web: Web) -> AsyncGenerator[Web]:
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    async with server:
        yield web
    await web.hang_up()


def _response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
