"""A sandbox service for the benchmarks alone, and a client of it as the gateway is one."""

import asyncio
import hashlib
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
from pydantic import SecretStr

from benchmarks.beside import ending
from benchmarks.samples import BenchmarkFailed
from cli.processes import dies_with_parent
from mcpbox.domain.base import utc_now
from mcpbox.receipts import ReceiptSigner
from sandbox.contract import (
    API_KEY_HEADER,
    UNKNOWN_BUNDLE_STATUS,
    Bundle,
    GrantedUntil,
    Receipt,
    RunRequest,
    RunResult,
)

_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 20
_SERVER = "of no instance"
_TIMEOUT = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True)
class SandboxService:
    socket: Path
    api_key: str
    pid: int
    signer: ReceiptSigner

    def released(self, bundle: Bundle) -> Bundle:
        """With a receipt, as if people had approved it."""
        server = bundle.server or _SERVER
        receipt = Receipt(
            digest="",
            code_sha256=hashlib.sha256(bundle.code.encode()).hexdigest(),
            server=server,
            tool="",
            request="",
            approved_by=(),
            approved_at=utc_now(),
            hosts=tuple(GrantedUntil(value=host) for host in bundle.hosts),
        )
        return bundle.model_copy(update={"server": server, "receipt": self.signer.sign(receipt)})


@contextmanager
def running_sandbox(private_hosts: str = "") -> Generator[SandboxService]:
    with tempfile.TemporaryDirectory(prefix="mcpbox-bench-") as directory:
        socket = Path(directory) / "sandbox.sock"
        api_key = secrets.token_hex(32)
        signer = ReceiptSigner(SecretStr(secrets.token_hex(32)))
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.app"],
            env={
                "PATH": os.defpath,
                "MCPBOX_SANDBOX_SOCKET": str(socket),
                "MCPBOX_SANDBOX_API_KEY": api_key,
                "MCPBOX_SANDBOX_RECEIPT_KEYS": signer.public_key,
                "MCPBOX_SANDBOX_PRIVATE_HOSTS": private_hosts,
            },
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=dies_with_parent(signal.SIGTERM),
        )
        with ending(process, _STOP_TIMEOUT_S):
            _wait_for(socket, process)
            yield SandboxService(socket, api_key, process.pid, signer)


class SandboxClient:
    def __init__(self, service: SandboxService, http: aiohttp.ClientSession) -> None:
        self._service = service
        self._http = http

    async def run(self, bundle: Bundle, arguments: dict[str, Any], **more: Any) -> RunResult:
        """By key, and with the bundle when it is not known yet; ``more``: of the request."""
        asked = RunRequest(bundle_key=bundle.key, arguments=arguments, **more)
        status, body = await self._post(asked)
        if status == UNKNOWN_BUNDLE_STATUS:
            status, body = await self._post(asked.model_copy(update={"bundle": bundle}))
        if status != 200:
            raise BenchmarkFailed(f"The sandbox answered {status}: {body[:500]!r}")
        return RunResult.model_validate_json(body)

    async def _post(self, asked: RunRequest) -> tuple[int, bytes]:
        body = asked.model_dump_json(exclude_defaults=True)
        async with self._http.post("/runs", data=body) as answer:
            return answer.status, await answer.read()


class Connection:
    """Kept alive, and made for latency: what it sends is prepared, so all requests cost it alike.

    A client with more comfort spends on the body of a call what would pass for the service's time.
    """

    def __init__(self, service: SandboxService) -> None:
        self._service = service

    async def __aenter__(self) -> Self:
        streams = await asyncio.open_unix_connection(str(self._service.socket))
        self._reader, self._writer = streams
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    def request_of(self, asked: RunRequest | None = None) -> bytes:
        """For a run; or, without one, for the health of the service."""
        body = b"" if asked is None else asked.model_dump_json(exclude_defaults=True).encode()
        lines = [
            "GET /health HTTP/1.1" if asked is None else "POST /runs HTTP/1.1",
            "host: sandbox",
            f"{API_KEY_HEADER}: {self._service.api_key}",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer. Raises: BenchmarkFailed."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        body = await self._reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200"):
            raise BenchmarkFailed(f"The sandbox answered {head[:200]!r} {body[:500]!r}")
        return body


@asynccontextmanager
async def client_of(service: SandboxService) -> AsyncGenerator[SandboxClient]:
    async with aiohttp.ClientSession(
        "http://sandbox",
        connector=aiohttp.UnixConnector(str(service.socket), limit=0),
        headers={API_KEY_HEADER: service.api_key, "content-type": "application/json"},
        timeout=_TIMEOUT,
    ) as http:
        yield SandboxClient(service, http)


def _wait_for(socket: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_TIMEOUT_S
    while not socket.is_socket():
        if process.poll() is not None or time.monotonic() > until:
            raise BenchmarkFailed(
                "The sandbox service does not start; python -m sandbox.app says why."
            )
        time.sleep(0.02)
