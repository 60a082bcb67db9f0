"""Keeps hosts that send costly bytes from taking all of the service's time.

A chunk of one byte, or a header that says nothing, costs far more to take apart than to send: what
was read at once is taken apart at once, and nobody else is served meanwhile.
"""

import asyncio
import ssl
import time
from typing import Any

import httpcore

_MOST_BYTES = 16384
"""Read at once: a hostile host then needs about 0.1 s of ours, at worst."""
_FIRST_BYTES = 4096
_FEWEST_BYTES = 1024
_LONG_S = 0.004


class Pace:
    """Together, those that cost much take turns: half of the time is left for all others."""

    def __init__(self) -> None:
        self._turns = asyncio.Lock()

    async def rest(self, seconds: float) -> None:
        async with self._turns:
            await asyncio.sleep(seconds)


class PacedStream(httpcore.AsyncNetworkStream):
    """Reads little at first, more where that is cheap; rests as long as it kept others waiting."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, pace: Pace) -> None:
        self._stream = stream
        self._pace = pace
        self._size = _FIRST_BYTES
        self._began_s: float | None = None
        """CPU time of this thread; ``None`` if others were served since the last read."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._began_s is not None:
            await self._adjust(time.thread_time() - self._began_s)
        data = await self._stream.read(min(max_bytes, self._size), timeout)
        self._began_s = time.thread_time()
        asyncio.get_running_loop().call_soon(self._let_others)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        encrypted = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return PacedStream(encrypted, self._pace)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _let_others(self) -> None:
        self._began_s = None

    async def _adjust(self, spent_s: float) -> None:
        if spent_s > _LONG_S:
            self._size = _FEWEST_BYTES
            await self._pace.rest(spent_s)
        else:
            self._size = min(_MOST_BYTES, 2 * self._size)
