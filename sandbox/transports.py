"""httpx transports that ask the broker: plain httpx calls work in a tool, and go no other way."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import cast

import httpx
from httpx import _client  # pyright: ignore[reportPrivateUsage]  the only seam there is

from sandbox.channel import MAX_BODY_BYTES, Channel
from sandbox.frames import Frame, Kind

_ERRORS: dict[str, type[httpx.TransportError]] = {
    "refused": httpx.ConnectError,
    "name": httpx.ConnectError,
    "connect": httpx.ConnectError,
    "connect_timeout": httpx.ConnectTimeout,
    "read_timeout": httpx.ReadTimeout,
    "write_timeout": httpx.WriteTimeout,
    "pool_timeout": httpx.PoolTimeout,
    "read": httpx.ReadError,
    "write": httpx.WriteError,
    "too_large": httpx.ReadError,
    "invalid": httpx.LocalProtocolError,
    "protocol": httpx.RemoteProtocolError,
}
_UNAVAILABLE = ("proxy", "uds", "local_address")


class BrokerTransport(httpx.AsyncBaseTransport):
    channel: Channel | None = None
    """Set once a child has its own; before that, requests fail."""

    def __init__(self, *_: object, **options: object) -> None:
        """Takes what httpx gives its own transport: certificates and pools are the broker's."""
        _refuse_ways_around(options)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        channel = _connected(self.channel)
        stream = channel.start_request(request, await _collected(request))
        try:
            head = await channel.next(stream)
        except BaseException:  # the tool gave up waiting, by a timeout of its own
            channel.end(stream)
            raise
        return _response(head, request, _AsyncBody(channel, stream, request))


class SyncBrokerTransport(httpx.BaseTransport):
    def __init__(self, *_: object, **options: object) -> None:
        """As :class:`BrokerTransport`."""
        _refuse_ways_around(options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        channel = _connected(BrokerTransport.channel)
        stream = channel.start_request(request, _collected_blocking(request))
        head = channel.next_blocking(stream)
        return _response(head, request, _SyncBody(channel, stream, request))


def replace_transports() -> None:
    """No TLS context is built in a child either, which saves 10 to 25 ms per client."""
    for module in (_client, httpx):
        vars(module).update(AsyncHTTPTransport=BrokerTransport, HTTPTransport=SyncBrokerTransport)
    # httpx only looks whether it is there when a client asks for HTTP/2; the broker speaks it.
    sys.modules["h2"] = ModuleType("h2")


def _refuse_ways_around(options: dict[str, object]) -> None:
    for name in _UNAVAILABLE:
        if options.get(name) is not None:
            raise ValueError(f"{name}= is not available: requests of a tool go through the broker")


def _connected(channel: Channel | None) -> Channel:
    if channel is None:
        raise httpx.ConnectError("There is no connection to the broker yet.")
    return channel


async def _collected(request: httpx.Request) -> bytes:
    """A body goes to the broker as a whole: its length is known there, and secrets are put in."""
    body = bytearray()
    async for part in cast("httpx.AsyncByteStream", request.stream):
        body += part
        _fitting(body, request)
    return bytes(body)


def _collected_blocking(request: httpx.Request) -> bytes:
    body = bytearray()
    for part in cast("httpx.SyncByteStream", request.stream):
        body += part
        _fitting(body, request)
    return bytes(body)


def _fitting(body: bytearray, request: httpx.Request) -> None:
    """Said early, as an endless body would never end; the broker has the last word."""
    if len(body) > MAX_BODY_BYTES:
        message = f"Refused: a request body may have {MAX_BODY_BYTES} bytes."
        raise httpx.WriteError(message, request=request)


def _response(
    head: Frame, request: httpx.Request, body: httpx.AsyncByteStream | httpx.SyncByteStream
) -> httpx.Response:
    if head.kind != Kind.HEAD:
        raise _failure(head, request)
    given = json.loads(head.payload)
    headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in given["headers"]]
    extensions = {"http_version": given["http_version"].encode("latin-1")}
    if given["reason"]:
        extensions["reason_phrase"] = given["reason"].encode("latin-1")
    return httpx.Response(given["status"], headers=headers, stream=body, extensions=extensions)


def _failure(frame: Frame, request: httpx.Request) -> httpx.TransportError:
    given = json.loads(frame.payload)
    error = _ERRORS.get(given["kind"], httpx.NetworkError)
    return error(given["message"], request=request)


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, channel: Channel, stream: int, request: httpx.Request) -> None:
        self._channel = channel
        self._stream = stream
        self._request = request
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._ended:
            frame = await self._channel.next(self._stream)
            self._ended = frame.kind != Kind.DATA
            if frame.kind == Kind.DATA:
                yield frame.payload
            elif frame.kind != Kind.END:
                raise _failure(frame, self._request)

    async def aclose(self) -> None:
        self._ended = True
        self._channel.end(self._stream)


class _SyncBody(httpx.SyncByteStream):
    def __init__(self, channel: Channel, stream: int, request: httpx.Request) -> None:
        self._channel = channel
        self._stream = stream
        self._request = request
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        while not self._ended:
            frame = self._channel.next_blocking(self._stream)
            self._ended = frame.kind != Kind.DATA
            if frame.kind == Kind.DATA:
                yield frame.payload
            elif frame.kind != Kind.END:
                raise _failure(frame, self._request)

    def close(self) -> None:
        self._ended = True
        self._channel.end(self._stream)
