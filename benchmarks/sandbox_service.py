"""A sandbox service for the benchmarks alone, and a client of it as the gateway is one."""

import hashlib
import os
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
from typing import Any

import aiohttp
from pydantic import SecretStr

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
        try:
            _wait_for(socket, process)
            yield SandboxService(socket, api_key, process.pid, signer)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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

    async def health(self) -> None:
        async with self._http.get("/health") as answer:
            await answer.read()

    async def _post(self, asked: RunRequest) -> tuple[int, bytes]:
        body = asked.model_dump_json(exclude_defaults=True)
        async with self._http.post("/runs", data=body) as answer:
            return answer.status, await answer.read()


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
