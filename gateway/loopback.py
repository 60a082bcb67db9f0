"""Whether a request comes from this machine, which may be told more than others."""

from starlette.requests import Request

_LOOPBACK_PEERS = ("127.0.0.1", "::1")
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def is_local(request: Request) -> bool:
    """By the peer and by the name it used: behind a proxy, every peer is this machine."""
    peer = request.client.host if request.client else ""
    proxied = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    named = request.url.hostname in _LOOPBACK_NAMES
    return peer in _LOOPBACK_PEERS and named and not proxied
