"""HTTP to one source: its own endpoint alone, judged addresses, bounded answers, our words."""

from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus

import httpcore2
import httpx2
from mcp_types import JSONRPCError, jsonrpc_message_adapter
from pydantic import SecretStr, ValidationError

from mcpbox.addresses import Resolver, resolve
from mcpbox.domain.errors import SourceFailed
from mcpbox.domain.external_sources import LISTING_MAX_BYTES
from mcpbox.domain.upstreams import Authentication, HttpEndpoint
from mcpbox.upstream.asking import (
    CUT_SHORT,
    NOT_THE_PROTOCOL,
    TOO_SLOW,
    SessionLost,
    SignInNeeded,
    note,
)
from mcpbox.upstream.pinned import connections
from mcpbox.upstream.tokens import proof_in

ANSWER_MAX_BYTES = LISTING_MAX_BYTES
STREAM_MAX_BYTES = 4 * ANSWER_MAX_BYTES
"""Of one answer that comes as events, with all that is told before it ends."""
_JSON = "application/json"
_EVENTS = "text/event-stream"
_SESSION = "mcp-session-id"
_KEEPS_METHOD = (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)


class SourceTransport(httpx2.AsyncBaseTransport):
    """A failure is noted for whoever asks, and answered: raised, it would end the whole session."""

    def __init__(
        self,
        endpoint: HttpEndpoint,
        secret: SecretStr | None,
        *,
        allow_private: bool,
        resolver: Resolver = resolve,
    ) -> None:
        """Raises: SourceFailed: the secret is nothing that can be sent."""
        self._url = httpx2.URL(endpoint.url)
        self._proof = _header_of(endpoint, secret)
        self._pool = connections(allow_private=allow_private, resolver=resolver)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asks = request.method == "POST"  # the rest is the SDK's own, which does without
        try:
            answer = await self._answer(request)
        except SourceFailed as failure:
            if asks:
                note(failure)
            return httpx2.Response(HTTPStatus.BAD_GATEWAY)
        if asks:
            note(None)
        return answer

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        """Raises: SourceFailed."""
        if not self._is_own(request.url):
            raise SourceFailed("Nothing but its own address is asked.")
        answer = await self._sent(request)
        try:
            kept = await self._judged(request, answer)
        except BaseException:
            await answer.aclose()
            raise
        if kept.is_closed:
            await answer.aclose()
        return kept

    async def _sent(self, request: httpx2.Request) -> httpcore2.Response:
        """Raises: SourceFailed."""
        headers = httpx2.Headers(request.headers)
        # Packed, a small answer may be a huge one.
        headers["accept-encoding"] = "identity"
        headers.update(self._proof)
        url = request.url
        try:
            return await self._pool.handle_async_request(
                httpcore2.Request(
                    method=request.method,
                    url=httpcore2.URL(
                        scheme=url.raw_scheme,
                        host=url.raw_host,
                        port=url.port,
                        target=url.raw_path,
                    ),
                    headers=headers.raw,
                    content=await request.aread(),
                    extensions={"timeout": request.extensions["timeout"]},
                )
            )
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout) as error:
            raise SourceFailed("Its host cannot be reached.") from error
        except _BROKEN as error:
            raise _failure(error) from error

    async def _judged(self, request: httpx2.Request, answer: httpcore2.Response) -> httpx2.Response:
        """Raises: SourceFailed."""
        headers = httpx2.Headers(answer.headers)
        if headers.get("content-encoding", "identity") != "identity":
            raise SourceFailed("It packs its answers although it was asked not to.", delivered=True)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            self._require_own_redirect(request, answer.status, headers)
            return httpx2.Response(answer.status, headers=_plain(headers))
        if answer.status < HTTPStatus.BAD_REQUEST and kind == _EVENTS:
            limit = None if request.method == "GET" else STREAM_MAX_BYTES
            return httpx2.Response(answer.status, headers=headers, stream=_Events(answer, limit))
        body = await _whole(answer)
        if answer.status == HTTPStatus.NOT_FOUND and _SESSION in request.headers:
            raise SessionLost("It ended the session.")
        if answer.status >= HTTPStatus.BAD_REQUEST and not (kind == _JSON and _is_error(body)):
            raise _refusal(answer.status)
        if request.method == "POST" and answer.status == HTTPStatus.OK and kind != _JSON:
            raise SourceFailed(NOT_THE_PROTOCOL, delivered=True)
        return httpx2.Response(answer.status, headers=_plain(headers), content=body)

    def _is_own(self, url: httpx2.URL) -> bool:
        """Its origin, and no path but those that a grant for its path is one for."""
        prefix = self._url.path.rstrip("/")
        same = (url.scheme, url.host, url.port) == (
            self._url.scheme,
            self._url.host,
            self._url.port,
        )
        return same and not url.userinfo and (url.path == prefix or _below(url.path, prefix))

    def _require_own_redirect(
        self, request: httpx2.Request, status: int, headers: httpx2.Headers
    ) -> None:
        """Raises: SourceFailed."""
        try:
            target = request.url.join(headers.get("location", ""))
        except httpx2.InvalidURL as error:
            raise SourceFailed(NOT_THE_PROTOCOL) from error
        if status not in _KEEPS_METHOD or not self._is_own(target):
            raise SourceFailed(
                "It sends whoever asks to another address; add the source by that one instead."
            )


def _header_of(endpoint: HttpEndpoint, secret: SecretStr | None) -> Mapping[str, str]:
    """The header that proves who asks. Raises: SourceFailed: the value is none of a header."""
    if endpoint.authentication is Authentication.NONE or secret is None:
        return {}
    value = proof_in(endpoint, secret)
    if not value.isascii() or not value.isprintable():
        raise SourceFailed("The value of its secret cannot be sent in a header; set it again.")
    if endpoint.authentication is Authentication.HEADER and endpoint.header_name:
        return {endpoint.header_name: value}
    return {"authorization": f"Bearer {value}"}


class _Events(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response, limit: int | None) -> None:
        self._answer = answer
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises: ReadError: which the reader of events takes for an end; the reason is noted."""
        try:
            async for part in _limited(self._answer, self._limit):
                yield part
        except SourceFailed as failure:
            note(failure)
            raise httpx2.ReadError("") from None

    async def aclose(self) -> None:
        await self._answer.aclose()


async def _whole(answer: httpcore2.Response) -> bytes:
    """Raises: SourceFailed."""
    return b"".join([part async for part in _limited(answer, ANSWER_MAX_BYTES)])


async def _limited(answer: httpcore2.Response, limit: int | None) -> AsyncIterator[bytes]:
    """Raises: SourceFailed."""
    left = limit
    try:
        async for part in answer.aiter_stream():
            if left is not None:
                left -= len(part)
                if left < 0:
                    raise SourceFailed(
                        f"It answers with more than {(limit or 0) // 2**20} MiB.", delivered=True
                    )
            yield part
    except _BROKEN as error:
        raise _failure(error) from error


_BROKEN = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError)


def _failure(error: Exception) -> SourceFailed:
    """Its text may hold what was sent."""
    slow = isinstance(error, httpcore2.TimeoutException)
    return SourceFailed(TOO_SLOW if slow else CUT_SHORT, delivered=True)


def _refusal(status: int) -> SourceFailed:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return SignInNeeded("It does not take what proves who asks (HTTP status 401).")
        case HTTPStatus.FORBIDDEN:
            return SourceFailed("It refuses whoever asks (HTTP status 403).")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return SourceFailed("It is asked too often (HTTP status 429); wait, then try again.")
        case _:
            return SourceFailed(f"It answers with HTTP status {status}.", delivered=status >= 500)


def _is_error(body: bytes) -> bool:
    """A source may say in JSON-RPC what its status says too."""
    try:
        return isinstance(jsonrpc_message_adapter.validate_json(body), JSONRPCError)
    except ValidationError:
        return False


def _below(path: str, prefix: str) -> bool:
    """As a grant for a path prefix is read; a dot segment would lead out of it."""
    segments = path.split("/")
    return path.startswith(f"{prefix}/") and not any(part in {".", ".."} for part in segments)


def _plain(headers: httpx2.Headers) -> httpx2.Headers:
    """Of a body that is whole."""
    kept = headers.copy()
    for name in ("content-length", "transfer-encoding"):
        kept.pop(name, None)
    return kept
