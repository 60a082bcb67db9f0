"""Small JSON documents of servers that people sign in at: judged addresses, no redirects."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import httpcore2
import httpx2

from mcpbox.addresses import Resolver, resolve
from mcpbox.domain.errors import SourceFailed
from mcpbox.upstream.pinned import connections

_TIMEOUT_S = 10.0
_ANSWER_MAX_BYTES = 256 * 1024
_BROKEN = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError)


class Fetcher:
    def __init__(self, *, allow_private: bool, resolver: Resolver = resolve) -> None:
        """``allow_private``: without TLS too, as an admin consented."""
        self._allow_private = allow_private
        self._resolver = resolver

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> httpx2.Response:
        """Whatever its status. Raises: SourceFailed."""
        self._require_secure(url)
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                connections(allow_private=self._allow_private, resolver=self._resolver) as pool,
                pool.stream(
                    method,
                    url,
                    headers=_headers(url, headers or {}, body),
                    content=body,
                ) as answer,
            ):
                content = b""
                async for part in answer.aiter_stream():
                    content += part
                    if len(content) > _ANSWER_MAX_BYTES:
                        raise SourceFailed("A server to sign in at answers with too much.")
        except (TimeoutError, UnicodeError, *_BROKEN) as error:
            raise SourceFailed("A server to sign in at does not answer.") from error
        return httpx2.Response(answer.status, headers=answer.headers, content=content)

    def _require_secure(self, url: str) -> None:
        """Raises: SourceFailed."""
        parts = urlsplit(url)
        schemes = ("https", "http") if self._allow_private else ("https",)
        if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
            raise SourceFailed("It names an address to sign in at that is not https.")


def json_of(answer: httpx2.Response) -> dict[str, Any]:
    """Empty for what is no JSON object."""
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _headers(url: str, headers: Mapping[str, str], body: bytes) -> list[tuple[str, str]]:
    return [
        ("host", urlsplit(url).netloc),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("content-length", str(len(body))),
        *headers.items(),
    ]
