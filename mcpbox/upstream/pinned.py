"""Connections to sources: to an address that was judged, and to no other.

A name is looked up once per connection; certificate, SNI and ``Host`` stay on the name.
"""

import asyncio
import ssl
from collections.abc import Iterable
from functools import cache
from typing import cast

import httpcore2

from mcpbox.addresses import NotPublic, Resolver, judged_address, resolve
from mcpbox.domain.errors import SourceFailed

_MAX_CONNECTIONS = 64
_KEEP_ALIVE_S = 60.0


def connections(
    *, allow_private: bool, resolver: Resolver = resolve
) -> httpcore2.AsyncConnectionPool:
    return httpcore2.AsyncConnectionPool(
        ssl_context=_trusted(),
        max_connections=_MAX_CONNECTIONS,
        keepalive_expiry=_KEEP_ALIVE_S,
        network_backend=PinnedBackend(resolver, allow_private=allow_private),
    )


class PinnedBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, resolver: Resolver, *, allow_private: bool) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        # Its type is that of a stand-in for an environment without anyio.
        self._backend = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises: SourceFailed; ConnectError; ConnectTimeout."""
        try:
            async with asyncio.timeout(timeout):
                address = await judged_address(
                    host, port, allow_private=self._allow_private, resolver=self._resolver
                )
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout from error
        except NotPublic as error:
            raise SourceFailed(
                "Its host is at an address that is not public; an admin can consent to a private "
                "one."
            ) from error
        except (OSError, UnicodeError) as error:
            raise SourceFailed("The name of its host cannot be looked up.") from error
        return await self._backend.connect_tcp(
            address, port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise SourceFailed("A source is never reached over a socket of this machine.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()
