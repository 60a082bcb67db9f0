"""Connections that go to an address that was checked, and to no other.

A name is resolved once per connection; certificate, SNI and ``Host`` stay on the name.
"""

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import httpcore

from sandbox.addresses import is_allowed_private, is_public
from sandbox.hosts import Refused
from sandbox.pacing import Pace, PacedStream

Resolver = Callable[[str, int], Awaitable[list[str]]]
SocketOptions = Iterable[
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
]

_MAX_ADDRESSES_TRIED = 3
_MAX_POOLS = 64
_MAX_RESOLVING = 32
"""Name servers may be slow on purpose: they hold up these threads, and nothing else."""
_MAX_LOOKING_UP = 8
"""For one owner."""


class NameUnknown(Exception):
    pass


_resolving = ThreadPoolExecutor(_MAX_RESOLVING, thread_name_prefix="resolve")


async def resolve(host: str, port: int) -> list[str]:
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_resolving, look_up)
    return [str(address[4][0]) for address in found]


class PinnedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, resolver: Resolver, pace: Pace, *, may_be_private: bool) -> None:
        self._resolver = resolver
        self._pace = pace
        self._may_be_private = may_be_private
        self._looking_up: set[asyncio.Future[list[str]]] = set()
        # Its type is that of a stand-in for an environment without anyio.
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Every address of a name must be fit, so that none can be slipped in between."""
        try:
            async with asyncio.timeout(timeout):
                addresses = list(dict.fromkeys(await self._look_up(host, port)))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except (socket.gaierror, UnicodeError) as error:
            raise NameUnknown(f"the host name {host} cannot be resolved") from error
        if not addresses or not all(self._fit(address) for address in addresses):
            raise Refused(f"{host} resolves to an address that is not public")
        failure: Exception | None = None
        for address in addresses[:_MAX_ADDRESSES_TRIED]:
            try:
                stream = await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            peer = stream.get_extra_info("server_addr")
            if not peer or not self._fit(peer[0]):
                await stream.aclose()
                raise Refused(f"{host} led to an address that is not public")
            return PacedStream(stream, self._pace)
        raise failure or httpcore.ConnectError("no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise Refused("unix sockets are not allowed")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _look_up(self, host: str, port: int) -> list[str]:
        """One that was given up goes on, in a thread of its own, so it counts until it ends."""
        while len(self._looking_up) >= _MAX_LOOKING_UP:
            await asyncio.wait(self._looking_up, return_when=asyncio.FIRST_COMPLETED)
        look_up = asyncio.ensure_future(self._resolver(host, port))
        self._looking_up.add(look_up)
        look_up.add_done_callback(self._looked_up)
        return await asyncio.shield(look_up)

    def _looked_up(self, look_up: asyncio.Future[list[str]]) -> None:
        self._looking_up.discard(look_up)
        if not look_up.cancelled():
            look_up.exception()  # mark as seen: nobody may be waiting

    def _fit(self, address: str) -> bool:
        return is_public(address) or (self._may_be_private and is_allowed_private(address))


@dataclass(eq=False)
class _Kept:
    pool: httpcore.AsyncConnectionPool
    in_use: int = 0
    is_retired: bool = False


class Lease:
    """A pool, for as long as one request takes."""

    def __init__(self, kept: _Kept) -> None:
        self.pool = kept.pool
        self._kept = kept

    def retire(self) -> None:
        """No further request uses its connections; they are closed when those in flight end."""
        self._kept.is_retired = True


class ConnectionPools:
    """Connections are kept per owner, a bundle, so no state of one reaches another."""

    def __init__(
        self, resolver: Resolver = resolve, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._resolver = resolver
        self._ssl_context = ssl_context or ssl.create_default_context()
        self._pace = Pace()
        self._kept: OrderedDict[tuple[str, bool], _Kept] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lease(self, owner: str, *, may_be_private: bool) -> AsyncGenerator[Lease]:
        kept = self._find_or_open(owner, may_be_private=may_be_private)
        kept.in_use += 1
        try:
            yield Lease(kept)
        finally:
            kept.in_use -= 1
            if kept.is_retired and not kept.in_use:
                self._close(kept.pool)

    async def aclose(self) -> None:
        for kept in self._kept.values():
            await kept.pool.aclose()
        self._kept.clear()

    def _find_or_open(self, owner: str, *, may_be_private: bool) -> _Kept:
        key = (owner, may_be_private)
        kept = self._kept.get(key)
        if kept is None or kept.is_retired:
            kept = self._kept[key] = _Kept(self._open(may_be_private=may_be_private))
        self._kept.move_to_end(key)
        if len(self._kept) > _MAX_POOLS:
            oldest = self._kept.popitem(last=False)[1]
            oldest.is_retired = True
            if not oldest.in_use:
                self._close(oldest.pool)
        return kept

    def _open(self, *, may_be_private: bool) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=self._ssl_context,
            max_connections=20,
            max_keepalive_connections=10,
            keepalive_expiry=30,
            http2=True,
            network_backend=PinnedBackend(
                self._resolver, self._pace, may_be_private=may_be_private
            ),
        )

    def _close(self, pool: httpcore.AsyncConnectionPool) -> None:
        task = asyncio.get_running_loop().create_task(pool.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
