"""Is it ready? Each probe is one short exchange over a raw socket: no client library is loaded.

A refused connection is an answer, no; so is a reply that is cut short.
"""

import asyncio
import struct
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_HEALTH_SERVICE = b"temporal.api.workflowservice.v1.WorkflowService"
_SERVING = b"\x08\x01"
"""``HealthCheckResponse.status = SERVING``."""
_HTTP2_DATA = 0
_HTTP2_HEADERS = 1
_HTTP2_SETTINGS = 4


async def postgres_answers(socket_file: Path) -> bool:
    """Whether it asks for a password, what it does only when it accepts connections.

    Source: PostgreSQL manual, "Message Formats": StartupMessage, Authentication…, ErrorResponse.
    """
    body = struct.pack("!I", 196608) + b"user\0mcpbox\0database\0postgres\0\0"
    try:
        async with _closing(asyncio.open_unix_connection(str(socket_file))) as (reader, writer):
            writer.write(struct.pack("!I", len(body) + 4) + body)
            return await reader.read(1) == b"R"
    except OSError:
        return False


async def http_answers(host: str, port: int, path: str) -> bool:
    try:
        async with _closing(asyncio.open_connection(host, port)) as streams:
            return await _get(streams, f"{host}:{port}", path)
    except OSError:
        return False


async def unix_http_answers(socket_file: Path, path: str) -> bool:
    try:
        async with _closing(asyncio.open_unix_connection(str(socket_file))) as streams:
            return await _get(streams, "localhost", path)
    except OSError:
        return False


async def temporal_answers(host: str, port: int) -> bool:
    """The standard gRPC health check, spelled out as four HTTP/2 frames.

    Source: RFC 9113 section 4.1 (frames), RFC 7541 section 6.2.2 (header fields), grpc.health.v1.
    """
    try:
        async with _closing(asyncio.open_connection(host, port)) as (reader, writer):
            writer.write(_health_request(f"{host}:{port}"))
            while True:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] == _HTTP2_DATA:
                    return payload[5:] == _SERVING
                # A header block that ends the stream is an error without a message.
                if head[3] == _HTTP2_HEADERS and head[4] & 0x1:
                    return False
    except (OSError, asyncio.IncompleteReadError):
        return False


def names_its_pid(ready_file: Path, pid: int) -> bool:
    """Whether the process itself, not one before it, wrote the file."""
    try:
        return ready_file.read_text().strip() == str(pid)
    except OSError:
        return False


async def _get(streams: _Streams, host: str, path: str) -> bool:
    reader, writer = streams
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    return (await reader.readline()).split()[1:2] == [b"200"]


@asynccontextmanager
async def _closing(opening: Awaitable[_Streams]) -> AsyncGenerator[_Streams]:
    reader, writer = await opening
    try:
        yield reader, writer
    finally:
        writer.close()


def _health_request(authority: str) -> bytes:
    headers = b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", b"/grpc.health.v1.Health/Check"),
            (b":authority", authority.encode()),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        )
    )
    message = b"\x0a" + bytes([len(_HEALTH_SERVICE)]) + _HEALTH_SERVICE
    data = b"\x00" + struct.pack("!I", len(message)) + message
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _frame(_HTTP2_SETTINGS, 0, 0, b"")
        + _frame(_HTTP2_HEADERS, 0x4, 1, headers)
        + _frame(_HTTP2_DATA, 0x1, 1, data)
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )
