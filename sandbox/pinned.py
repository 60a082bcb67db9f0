"""Connections that go to an address that was checked, and to no other.

A name is resolved once per connection; certificate, SNI and ``Host`` stay on the name.
"""

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import cast

import httpcore

from sandbox.addresses import is_allowed_private, is_public
from sandbox.hosts import Refused

Resolver = Callable[[str, int], Awaitable[list[str]]]
SocketOptions = Iterable[
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
]

_MAX_ADDRESSES_TRIED = 3
_MAX_POOLS = 64


class NameUnknown(Exception):
    pass


async def resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class PinnedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, resolver: Resolver, *, may_be_private: bool) -> None:
        self._resolver = resolver
        self._may_be_private = may_be_private
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
            addresses = list(dict.fromkeys(await self._resolver(host, port)))
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
            return stream
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

    def _fit(self, address: str) -> bool:
        return is_public(address) or (self._may_be_private and is_allowed_private(address))


class ConnectionPools:
    """Connections are kept per bundle, so no state of one reaches another."""

    def __init__(self, resolver: Resolver = resolve) -> None:
        self._resolver = resolver
        self._ssl_context = ssl.create_default_context()
        self._pools: OrderedDict[tuple[str, bool], httpcore.AsyncConnectionPool] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def pool(self, owner: str, *, may_be_private: bool) -> httpcore.AsyncConnectionPool:
        key = (owner, may_be_private)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = httpcore.AsyncConnectionPool(
                ssl_context=self._ssl_context,
                max_connections=20,
                max_keepalive_connections=10,
                keepalive_expiry=30,
                network_backend=PinnedBackend(self._resolver, may_be_private=may_be_private),
            )
            if len(self._pools) > _MAX_POOLS:
                self._close(self._pools.popitem(last=False)[1])
        self._pools.move_to_end(key)
        return pool

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()

    def _close(self, pool: httpcore.AsyncConnectionPool) -> None:
        task = asyncio.get_running_loop().create_task(pool.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
