"""What the server says to the tools of the table in ``surface.py``: ``{path: answer}``."""

import asyncio
import gzip
import hashlib
import re
import zlib

from tests.integration.sandbox.origin import Answer, Asked, response


def _fixed(raw: bytes) -> Answer:
    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return answer


def _closing(raw: bytes) -> Answer:
    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    return answer


async def _digest(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """RFC 7616 with MD5 and qop=auth, as old servers have it."""
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', asked.header("authorization") or ""))
    if not given:
        challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
        writer.write(response(b"", challenge, status="401 Who"))
        return
    secret = _md5("ana:r:pass")
    what = _md5(f"GET:{asked.target}")
    proof = _md5(f"{secret}:n:{given['nc']}:{given['cnonce']}:auth:{what}")
    fits = given["response"] == proof
    writer.write(response(b"welcome") if fits else response(b"", status="403 No"))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


async def _endless(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 4096)
        await writer.drain()


async def _never(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asked.hung_up()
    writer.close()


async def _stalls(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst\n")
    await writer.drain()
    await asked.hung_up()
    writer.close()


class _Steps:
    """Says a line, then waits until it was seen."""

    def __init__(self) -> None:
        self._seen = asyncio.Event()

    async def say(self, _: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for number in range(3):
            self._seen.clear()
            writer.write(f"step {number}\n".encode())
            await writer.drain()
            await self._seen.wait()
        writer.close()

    async def see(self, _: Asked, writer: asyncio.StreamWriter) -> None:
        self._seen.set()
        writer.write(response(b""))


_steps = _Steps()

ANSWERS: dict[str, Answer] = {
    "/length": _fixed(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
    "/204": _fixed(b"HTTP/1.1 204 Nothing\r\n\r\n"),
    "/304": _fixed(b"HTTP/1.1 304 Same\r\nContent-Length: 99999999999\r\n\r\n"),
    "/100": _fixed(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n"
        + response(b"after 103")
    ),
    "/404": _fixed(response(b"no", status="404 Gone Fishing")),
    "/digest": _digest,
    "/cookie": _fixed(response(b"", "Set-Cookie: sid=abc; Path=/")),
    "/redirect": _fixed(response(b"", "Location: /landed", status="302 There")),
    "/307": _fixed(response(b"", "Location: /landed", status="307 There")),
    "/loop": _fixed(response(b"", "Location: /loop", status="302 There")),
    "/lines": _fixed(response(b"one\ntwo\nthree")),
    "/steps": _steps.say,
    "/step": _steps.see,
    "/gzip": _fixed(
        response(gzip.compress(b"zipped"), "Content-Encoding: gzip", status="200 Fine")
    ),
    "/deflate": _fixed(response(zlib.compress(b"deflated"), "Content-Encoding: deflate")),
    "/latin": _fixed(
        response("käse".encode("latin-1"), "Content-Type: text/plain; charset=iso-8859-1")
    ),
    "/chunked": _fixed(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\none\r\n3;x=y\r\ntwo\r\n0\r\nX-Trailer: 1\r\n\r\n"
    ),
    "/until-end": _closing(b"HTTP/1.0 200 OK\r\n\r\nall of it"),
    "/endless": _endless,
    "/never": _never,
    "/stalls": _stalls,
}
