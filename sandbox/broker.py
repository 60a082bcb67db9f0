"""The only way out: makes HTTP requests for a child, after checking each of them.

A redirect comes back to the child as it is; following it is a new request, and checked again.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import httpcore

from sandbox.child import Child
from sandbox.contract import EgressRecord
from sandbox.echoes import Echoes
from sandbox.egress import DEFAULT_CAPS, Attempt, Caps, Log
from sandbox.frames import Frame, Kind, call_of
from sandbox.hosts import HostGrants, Refused, Target
from sandbox.outgoing import Outgoing, read
from sandbox.pinned import ConnectionPools, Lease, NameUnknown
from sandbox.secrets import NO_SECRETS, Secrets

_CONNECT_TIMEOUT_S = 10.0
_CHUNK_BYTES = 262144
_MIN_TIMEOUT_S = 0.05
_MAX_WAIT_FOR_CONNECTION_S = 0.05
_NO_BODY = frozenset({204, 304})
_EXPECTED = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    NameUnknown,
    OSError,
)

log = logging.getLogger("sandbox")


class _Failed(Exception):
    """``kind`` chooses the exception that the tool sees."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


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
        secrets: Secrets = NO_SECRETS,
        caps: Caps = DEFAULT_CAPS,
    ) -> None:
        self._child = child
        self._pools = pools
        self._grants = grants
        self._owner = owner
        self._secrets = secrets
        self._caps = caps
        self._deadline = asyncio.get_running_loop().time() + wall_s
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ended: set[int] = set()
        """Of which the child has all, while their connection is still to be put back."""
        self._log = Log()
        self._sending: dict[int, int] = {}
        """Bytes of each request until the child has all of its answer."""
        self._received_bytes = 0
        self._cancelled = 0

    def take(self, frame: Frame) -> None:
        """A ``REQUEST`` or ``CANCEL`` frame; a child that breaks the protocol is killed."""
        stream = frame.stream
        if frame.kind == Kind.CANCEL:
            self._cancelled += 1
            if self._cancelled > self._caps.attempts:  # more than could have been begun
                self._child.kill()
            if task := self._tasks.pop(stream, None):
                task.cancel()
            return
        attempt = self._log.begin()
        is_new = not (stream in self._tasks or stream in self._sending or stream == call_of(stream))
        if self._log.count > self._caps.attempts or not is_new:
            self._child.kill()
            return
        if self._log.count > self._caps.requests:
            said = f"one call may make {self._caps.requests} requests"
            self._refuse_unsent(stream, attempt, frame.payload, said)
        elif len(self._tasks) - len(self._ended) >= self._caps.at_once:
            said = f"{self._caps.at_once} requests may run at a time"
            self._refuse_unsent(stream, attempt, frame.payload, said)
        elif sum(self._sending.values()) + len(frame.payload) > self._caps.sending_bytes:
            said = f"requests that run at a time may have {self._caps.sending_bytes} bytes together"
            self._refuse_unsent(stream, attempt, frame.payload, said)
        else:
            work = self._answer(stream, attempt, frame.payload)
            self._tasks[stream] = task = asyncio.get_running_loop().create_task(work)
            self._sending[stream] = len(frame.payload)
            task.add_done_callback(lambda _: self._sending.pop(stream, None))

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def records(self) -> tuple[EgressRecord, ...]:
        """In the order asked; refused ones too."""
        return self._log.records()

    async def _answer(self, stream: int, attempt: Attempt, payload: bytes) -> None:
        left_s = self._deadline - asyncio.get_running_loop().time()
        allowed_s = max(_MIN_TIMEOUT_S, min(self._caps.request_s, left_s))
        try:
            async with asyncio.timeout(allowed_s):
                await self._forward(stream, attempt, payload)
        except Refused as error:
            self._refuse(stream, attempt, str(error))
        except TimeoutError:
            message = f"the request took longer than {allowed_s:.3g} s in all"
            self._fail(stream, _Failed("read_timeout", message))
        except _Failed as error:
            self._fail(stream, error)
        except Exception as error:  # noqa: BLE001  libraries under hostile input: the tool must not wait
            # Its text may hold what was sent.
            log.warning("a request for a tool failed unexpectedly: %s", type(error).__name__)
            self._fail(stream, _Failed("network", "the request failed inside the sandbox service"))
        finally:
            attempt.end()
            self._ended.discard(stream)
            if self._tasks.get(stream) is asyncio.current_task():
                del self._tasks[stream]

    async def _forward(self, stream: int, attempt: Attempt, payload: bytes) -> None:
        outgoing = read(payload, attempt)
        if len(outgoing.body) > self._caps.request_bytes:
            raise Refused(f"a request body may have {self._caps.request_bytes} bytes")
        target = outgoing.target(self._grants)
        filled, echoes = self._secrets.put_into(outgoing, target)
        if filled.url != outgoing.url:
            filled.target(self._grants)
        attempt.sent_bytes = len(filled.body)
        if ending := [task for one in self._ended if (task := self._tasks.get(one))]:
            # Asked before they are done, the pool would open one more connection.
            await asyncio.wait(ending, timeout=_MAX_WAIT_FOR_CONNECTION_S)
        async with self._pools.lease(self._owner, may_be_private=target.may_be_private) as lease:
            try:
                response = await lease.pool.handle_async_request(self._request(filled, target))
                await self._pass_on(stream, attempt, response, lease, echoes)
            except _EXPECTED as error:
                raise _explained(error, target.host, echoes) from error

    def _request(self, outgoing: Outgoing, target: Target) -> httpcore.Request:
        asked = outgoing.timeouts
        longest = self._caps.request_s
        timeouts = {
            "connect": _CONNECT_TIMEOUT_S if asked.connect is None else asked.connect,
            "read": longest if asked.read is None else asked.read,
            "write": longest if asked.write is None else asked.write,
            "pool": longest if asked.pool is None else asked.pool,
        }
        return httpcore.Request(
            outgoing.method,
            httpcore.URL(
                scheme=outgoing.url.raw_scheme,
                host=target.host.encode(),
                port=outgoing.url.port,
                target=outgoing.url.raw_path,
            ),
            headers=outgoing.headers_for(target),
            content=outgoing.body,
            extensions={
                "timeout": {name: max(_MIN_TIMEOUT_S, given) for name, given in timeouts.items()}
            },
        )

    async def _pass_on(
        self,
        stream: int,
        attempt: Attempt,
        response: httpcore.Response,
        lease: Lease,
        echoes: Echoes,
    ) -> None:
        whole = False
        try:
            attempt.status = response.status
            has_body = attempt.method != "HEAD" and response.status not in _NO_BODY
            head = self._head(response, echoes, has_body=has_body)
            self._child.send(Kind.HEAD, stream, head)
            async for part in response.aiter_stream():
                attempt.received_bytes += len(part)
                self._received_bytes += len(part)
                self._check_size(attempt.received_bytes)
                self._send_data(stream, echoes.feed(part) if echoes else part)
                await self._child.drained()
            self._send_data(stream, echoes.rest())
            self._child.send(Kind.END, stream)
            self._ended.add(stream)
            self._sending.pop(stream, None)
            whole = True
        finally:
            if not whole and response.extensions.get("http_version") == b"HTTP/2":
                # httpcore resets no stream that was given up: the host would go on sending it.
                lease.retire()
            await response.aclose()

    def _head(self, response: httpcore.Response, echoes: Echoes, *, has_body: bool) -> bytes:
        """Status line and headers, as JSON."""
        if response.status < 200:
            raise _Failed("protocol", "the host changed the protocol without being asked to")
        headers: Sequence[tuple[bytes, bytes]] = response.headers
        if sum(len(name) + len(value) for name, value in headers) > self._caps.head_bytes:
            raise _Failed("too_large", f"response headers may have {self._caps.head_bytes} bytes")
        announced = next((v for k, v in headers if k.lower() == b"content-length"), b"")
        if has_body and announced.isdigit() and len(announced) < 20:
            self._check_size(int(announced))
        if echoes:
            headers = _hidden(headers, echoes, has_body=has_body)
        version = cast("bytes", response.extensions.get("http_version", b"HTTP/1.1"))
        reason = cast("bytes", response.extensions.get("reason_phrase", b""))
        return json.dumps(
            {
                "status": response.status,
                "headers": [(k.decode("latin-1"), v.decode("latin-1")) for k, v in headers],
                "http_version": version.decode("latin-1"),
                "reason": echoes.hidden(reason).decode("latin-1"),
            }
        ).encode()

    def _check_size(self, response_bytes: int) -> None:
        if response_bytes > self._caps.response_bytes:
            raise _Failed("too_large", f"a response may have {self._caps.response_bytes} bytes")
        if self._received_bytes > self._caps.received_bytes:
            said = f"the responses of one call may have {self._caps.received_bytes} bytes"
            raise _Failed("too_large", said)

    def _send_data(self, stream: int, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK_BYTES):
            self._child.send(Kind.DATA, stream, data[start : start + _CHUNK_BYTES])

    def _refuse_unsent(self, stream: int, attempt: Attempt, payload: bytes, reason: str) -> None:
        with suppress(Refused):
            read(payload, attempt)
        self._refuse(stream, attempt, reason)
        attempt.end()

    def _refuse(self, stream: int, attempt: Attempt, reason: str) -> None:
        attempt.refused = reason
        self._fail(stream, _Failed("refused", f"Refused: {reason}."))

    def _fail(self, stream: int, failed: _Failed) -> None:
        given = {"kind": failed.kind, "message": str(failed)}
        self._child.send(Kind.FAILURE, stream, json.dumps(given).encode())


def _hidden(
    headers: Sequence[tuple[bytes, bytes]], echoes: Echoes, *, has_body: bool
) -> list[tuple[bytes, bytes]]:
    """Without the length, which tells that of a secret that was replaced."""
    if not has_body:
        return [(name, echoes.hidden(value)) for name, value in headers]
    hidden: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            said = "the answer is compressed, though that was not asked for"
            raise _Failed("protocol", f"{said}: it cannot be searched for the secrets of its host")
        if lowered != b"content-length":
            hidden.append((name, echoes.hidden(value)))
    return hidden


def _explained(error: Exception, host: str, echoes: Echoes) -> _Failed:
    said = echoes.hidden_text(str(error))
    match error:
        case NameUnknown():
            return _Failed("name", said)
        case httpcore.ConnectTimeout():
            return _Failed("connect_timeout", f"{host} could not be reached in time")
        case httpcore.ReadTimeout():
            return _Failed("read_timeout", f"{host} sent nothing for too long")
        case httpcore.WriteTimeout():
            return _Failed("write_timeout", f"{host} took nothing for too long")
        case httpcore.PoolTimeout():
            return _Failed("pool_timeout", f"too many requests to {host} are open already")
        case httpcore.ConnectError():
            return _Failed("connect", f"cannot connect to {host}: {said}")
        case httpcore.LocalProtocolError():
            return _Failed("invalid", "the request is not valid HTTP")
        case httpcore.ProtocolError():
            return _Failed("protocol", f"{host} did not answer in valid HTTP: {said}")
        case httpcore.WriteError():
            return _Failed("write", f"the connection to {host} broke: {said}")
        case _:
            return _Failed("read", f"the connection to {host} broke: {said}")
