"""The only way out: makes HTTP requests for a child, after checking each of them.

A redirect comes back to the child as it is; following it is a new request, and checked again.
"""

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx
from pydantic import BaseModel, ValidationError

from sandbox.channel import BODY_START
from sandbox.child import Child
from sandbox.contract import EgressRecord
from sandbox.frames import Frame, Kind
from sandbox.hosts import HostGrants, Refused, Target
from sandbox.pinned import ConnectionPools, NameUnknown
from sandbox.words import words

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_NOT_FORWARDED = frozenset(
    words("""
    connection content-length expect host http2-settings keep-alive te trailer transfer-encoding
    upgrade
""")
)
_CONNECT_TIMEOUT_S = 10.0
_CHUNK_BYTES = 262144
_MAX_HEAD_BYTES = 65536
_MAX_RECORDS = 100
_MIN_TIMEOUT_S = 0.05


@dataclass(frozen=True)
class Caps:
    """Of one call."""

    requests: int = 50
    at_once: int = 8
    request_bytes: int = 10 * 2**20
    response_bytes: int = 10 * 2**20
    received_bytes: int = 40 * 2**20
    request_s: float = 30.0


class TooLarge(Exception):
    pass


class _Head(BaseModel):
    """Written by the child, so by anybody."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    timeout_s: float | None = None


@dataclass
class _Attempt:
    method: str = ""
    host: str = ""
    status: int | None = None
    refused: str | None = None
    received_bytes: int = 0


class Session:
    """One call's requests."""

    def __init__(
        self,
        child: Child,
        pools: ConnectionPools,
        grants: HostGrants,
        *,
        owner: str,
        wall_s: float,
        caps: Caps = Caps(),
    ) -> None:
        self._child = child
        self._pools = pools
        self._grants = grants
        self._owner = owner
        self._caps = caps
        self._deadline = asyncio.get_running_loop().time() + wall_s
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._attempts: list[_Attempt] = []
        self._received_bytes = 0

    def take(self, frame: Frame) -> None:
        """A ``REQUEST`` or ``CANCEL`` frame; a child that breaks the protocol is killed."""
        stream = frame.stream
        if frame.kind == Kind.CANCEL:
            if task := self._tasks.pop(stream, None):
                task.cancel()
            return
        attempt = _Attempt()
        self._attempts.append(attempt)
        if len(self._attempts) > _MAX_RECORDS or stream == 0 or stream in self._tasks:
            self._child.kill()
            return
        if len(self._attempts) > self._caps.requests:
            self._refuse(stream, attempt, f"one call may make {self._caps.requests} requests")
        elif len(self._tasks) >= self._caps.at_once:
            self._refuse(stream, attempt, f"{self._caps.at_once} requests may run at a time")
        else:
            work = self._answer(stream, attempt, frame.payload)
            self._tasks[stream] = asyncio.get_running_loop().create_task(work)

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def records(self) -> tuple[EgressRecord, ...]:
        """In the order asked; refused ones too."""
        return tuple(EgressRecord(**vars(attempt)) for attempt in self._attempts[:_MAX_RECORDS])

    async def _answer(self, stream: int, attempt: _Attempt, payload: bytes) -> None:
        try:
            async with asyncio.timeout(self._timeout_s(2 * self._caps.request_s)):
                await self._forward(stream, attempt, payload)
        except Refused as error:
            self._refuse(stream, attempt, str(error))
        except NameUnknown as error:
            self._fail(stream, "name", str(error))
        except TooLarge as error:
            self._fail(stream, "too_large", str(error))
        except (TimeoutError, httpcore.TimeoutException):
            self._fail(stream, "timeout", "the request timed out")
        except (httpcore.ConnectError, ssl.SSLError) as error:
            self._fail(stream, "connect", f"cannot connect to {attempt.host}: {error}")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            self._fail(stream, "network", f"{type(error).__name__}: {error}")
        finally:
            self._tasks.pop(stream, None)

    async def _forward(self, stream: int, attempt: _Attempt, payload: bytes) -> None:
        request, target = self._request(attempt, payload)
        pool = self._pools.pool(self._owner, may_be_private=target.may_be_private)
        response = await pool.handle_async_request(request)
        try:
            attempt.status = response.status
            headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in response.headers]
            announced = next((v for k, v in headers if k.lower() == "content-length"), "0")
            if announced.isdigit() and len(announced) < 20:
                self._check_size(int(announced))
            head = {"status": response.status, "headers": headers}
            self._child.send(Kind.HEAD, stream, json.dumps(head).encode())
            async for part in response.aiter_stream():
                attempt.received_bytes += len(part)
                self._received_bytes += len(part)
                self._check_size(attempt.received_bytes)
                for start in range(0, len(part), _CHUNK_BYTES):
                    self._child.send(Kind.DATA, stream, part[start : start + _CHUNK_BYTES])
                await self._child.drained()
            self._child.send(Kind.END, stream)
        finally:
            await response.aclose()

    def _request(self, attempt: _Attempt, payload: bytes) -> tuple[httpcore.Request, Target]:
        """One parser reads the URL, for the check and for the connection."""
        head, body = _parsed(payload)
        attempt.method = head.method.upper()[:16]
        try:
            url = httpx.URL(head.url)
            attempt.host = url.host[:253]
        except (httpx.InvalidURL, ValueError) as error:
            raise Refused("the URL is not valid") from error
        if attempt.method not in _METHODS:
            raise Refused(f"the method {attempt.method!r} is not allowed")
        if len(body) > self._caps.request_bytes:
            raise Refused(f"a request body may have {self._caps.request_bytes} bytes")
        target = self._grants.target(url)
        timeout = self._timeout_s(head.timeout_s or self._caps.request_s)
        timeouts = dict.fromkeys(("read", "write", "pool"), timeout)
        request = httpcore.Request(
            attempt.method,
            httpcore.URL(
                scheme=url.raw_scheme,
                host=target.host.encode(),
                port=url.port,
                target=url.raw_path,
            ),
            headers=_forwarded(head, url, attempt.method, len(body)),
            content=body,
            extensions={"timeout": {"connect": min(_CONNECT_TIMEOUT_S, timeout), **timeouts}},
        )
        return request, target

    def _timeout_s(self, wanted: float) -> float:
        left = self._deadline - asyncio.get_running_loop().time()
        return max(_MIN_TIMEOUT_S, min(wanted, 2 * self._caps.request_s, left))

    def _check_size(self, response_bytes: int) -> None:
        if response_bytes > self._caps.response_bytes:
            raise TooLarge(f"a response may have {self._caps.response_bytes} bytes")
        if self._received_bytes > self._caps.received_bytes:
            raise TooLarge(f"the responses of one call may have {self._caps.received_bytes} bytes")

    def _refuse(self, stream: int, attempt: _Attempt, reason: str) -> None:
        attempt.refused = reason
        self._fail(stream, "refused", f"Refused: {reason}.")

    def _fail(self, stream: int, kind: str, message: str) -> None:
        given: dict[str, Any] = {"kind": kind, "message": message}
        self._child.send(Kind.FAILURE, stream, json.dumps(given).encode())


def _parsed(payload: bytes) -> tuple[_Head, bytes]:
    """Raises: Refused: the child did not speak the protocol."""
    if len(payload) < BODY_START.size:
        raise Refused("the request is malformed")
    (length,) = BODY_START.unpack_from(payload)
    end = BODY_START.size + length
    if length > _MAX_HEAD_BYTES:
        raise Refused(f"URL and headers together may have {_MAX_HEAD_BYTES} bytes")
    try:
        return _Head.model_validate_json(payload[BODY_START.size : end]), payload[end:]
    except ValidationError as error:
        raise Refused("the request is malformed") from error


def _forwarded(head: _Head, url: httpx.URL, method: str, size: int) -> list[tuple[bytes, bytes]]:
    headers = [(b"Host", url.netloc)]
    for name, value in head.headers:
        lowered = name.lower()
        if lowered in _NOT_FORWARDED or lowered.startswith("proxy-"):
            continue
        try:
            headers.append((name.encode("latin-1"), value.encode("latin-1")))
        except UnicodeEncodeError as error:
            raise Refused(f"the header {name!r} is not latin-1 text") from error
    if size or method in _WITH_BODY:
        headers.append((b"Content-Length", str(size).encode()))
    return headers
