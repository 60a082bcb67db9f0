"""A mail server for the length of a test: STARTTLS, a password, and what arrived."""

import asyncio
import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

USER = "box"
PASSWORD = "letters and numbers"


@dataclass
class MailServer:
    tls: ssl.SSLContext | None = None
    """``None``: it offers no STARTTLS."""
    port: int = 0
    arrived: list[EmailMessage] = field(default_factory=list[EmailMessage])
    recipients: list[str] = field(default_factory=list[str])
    secured: list[bool] = field(default_factory=list[bool])
    """For each message: whether it came encrypted and signed in."""
    heard: bytearray = field(default_factory=bytearray)
    """Every byte that came before the way was encrypted."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Conversation(self, reader, writer).hold()


class _Conversation:
    def __init__(
        self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._encrypted = self._signed_in = False

    async def hold(self) -> None:
        await self._say("220 localhost ESMTP")
        while line := await self._reader.readline():
            if not self._encrypted:
                self._server.heard += line
            verb, _, rest = line.decode().strip().partition(" ")
            if verb.upper() == "QUIT":
                await self._say("221 Bye")
                break
            answer = getattr(self, f"_{verb.lower()}", self._other)
            await answer(rest)
        self._writer.close()

    async def _other(self, _: str) -> None:
        await self._say("250 OK")

    async def _ehlo(self, _: str) -> None:
        offers = ["250-localhost", "250-STARTTLS", "250 AUTH PLAIN"]
        if self._server.tls is None or self._encrypted:
            del offers[1]
        await self._say("\r\n".join(offers))

    async def _starttls(self, _: str) -> None:
        assert self._server.tls is not None
        await self._say("220 Go on")
        await self._writer.start_tls(self._server.tls)
        self._encrypted = True

    async def _auth(self, rest: str) -> None:
        given = base64.b64decode(rest.split(" ")[-1]).decode().split("\0")
        self._signed_in = given[1:] == [USER, PASSWORD]
        await self._say("235 Welcome" if self._signed_in else "535 Wrong")

    async def _rcpt(self, rest: str) -> None:
        self._server.recipients.append(rest.partition("<")[2].partition(">")[0])
        await self._say("250 OK")

    async def _data(self, _: str) -> None:
        await self._say("354 Go on")
        body = await self._reader.readuntil(b"\r\n.\r\n")
        kept = message_from_bytes(body[:-5], policy=policy.default)
        assert isinstance(kept, EmailMessage)
        self._server.arrived.append(kept)
        self._server.secured.append(self._encrypted and self._signed_in)
        await self._say("250 Kept")

    async def _say(self, line: str) -> None:
        self._writer.write(f"{line}\r\n".encode())
        await self._writer.drain()


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None) -> AsyncGenerator[MailServer]:
    server = MailServer(tls)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
