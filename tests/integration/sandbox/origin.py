"""A web server that can misbehave: what it says to a path is up to the test."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: list[tuple[str, str]]
    """As sent, names too."""
    body: bytes
    connection: int
    reader: asyncio.StreamReader

    async def hung_up(self) -> None:
        await self.reader.read()

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def as_json(self) -> bytes:
        said = {
            "method": self.method,
            "target": self.target,
            "headers": {name.lower(): value for name, value in self.headers},
            "body": self.body.decode(errors="replace"),
            "connection": self.connection,
        }
        return json.dumps(said).encode()


@dataclass
class Origin:
    """Says back what was asked, unless a path has an answer of its own."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list[Asked])
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection has ended."""
    _connections: int = 0

    @property
    def authority(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def says(self, path: str, raw: bytes) -> str:
        """These bytes, and the end of the connection. The URL to ask."""

        async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(raw)
            await writer.drain()
            writer.close()

        self.answers[path] = answer
        return f"{self.url}{path}"

    def does(self, path: str, answer: Answer) -> str:
        self.answers[path] = answer
        return f"{self.url}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        try:
            while not writer.is_closing():
                asked = await read(reader, number)
                self.asked.append(asked)
                path = asked.target.partition("?")[0]
                await self.answers.get(path, _say_back)(asked, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass  # whoever hangs up gets no answer
        finally:
            writer.close()
            self.gone.set()


async def read(reader: asyncio.StreamReader, connection: int = 0) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    pairs = [line.partition(": ") for line in head[1:] if line]
    headers = [(name, value) for name, _, value in pairs]
    length = next((value for name, value in headers if name.lower() == "content-length"), "0")
    return Asked(method, target, headers, await reader.readexactly(int(length)), connection, reader)


async def _say_back(asked: Asked, writer: asyncio.StreamWriter) -> None:
    body = b"" if asked.method == "HEAD" else asked.as_json()
    writer.write(response(body, "Content-Type: application/json"))


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def serving_origin(
    context: ssl.SSLContext | None = None, *, address: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[Origin]:
    origin = Origin()
    server = await asyncio.start_server(origin.serve, address, port, ssl=context)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
