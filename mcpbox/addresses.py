"""Which address of a name is connected to: the one rule for all that goes out but the sandbox's."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from sandbox.addresses import is_allowed_private, is_public

Resolver = Callable[[str, int], Awaitable[list[str]]]


class NotPublic(Exception):
    """Some address of the name is not fit to be connected to."""


async def resolve(host: str, port: int) -> list[str]:
    """Raises: OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


async def judged_address(
    host: str, port: int, *, allow_private: bool, resolver: Resolver = resolve
) -> str:
    """To be connected to, and no other: looked up again, the name may lead elsewhere.

    Every address of the name has to be fit, so that none can be slipped in between; addresses of
    metadata services never are.
    Raises: NotPublic; OSError, UnicodeError: it cannot be looked up.
    """
    addresses = await resolver(host, port)
    if not addresses or not all(_is_fit(one, allow_private) for one in addresses):
        raise NotPublic
    return addresses[0]


def _is_fit(address: str, allow_private: bool) -> bool:
    return is_public(address) or (allow_private and is_allowed_private(address))
