"""Whether a request comes from this machine, which may be told more than others."""

import re

from starlette.requests import Request

_LOOPBACK_PEERS = ("127.0.0.1", "::1")
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)
_FORWARDED = (
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"),
    *("cf-connecting-ip", "true-client-ip"),
)
"""What proxies and tunnels add."""


def is_forwarded(request: Request) -> bool:
    """It has come from elsewhere, whoever its peer is."""
    return any(name in request.headers for name in _FORWARDED)


def is_local(request: Request) -> bool:
    """By the peer and by the name it used: behind a proxy, every peer is this machine."""
    peer = request.client.host if request.client else ""
    # Not its URL: where the header is no host, that names our own address.
    named = _LOOPBACK_HOST.fullmatch(request.headers.get("host", "")) is not None
    return peer in _LOOPBACK_PEERS and named and not is_forwarded(request)
