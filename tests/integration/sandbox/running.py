"""A real service process on a unix socket, and how to talk to it."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from sandbox.contract import (
    API_KEY_HEADER,
    UNKNOWN_BUNDLE_STATUS,
    Bundle,
    CheckResult,
    Health,
    RunResult,
)
from tests.receipts import SIGNER, released

API_KEY = "a-key-for-tests-of-32-characters-or-more"
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20
ROOT = Path(__file__).parents[3]


class RunningService:
    def __init__(self, process: asyncio.subprocess.Process, client: httpx.AsyncClient) -> None:
        self.process = process
        self.client = client

    async def run(
        self,
        code: str,
        arguments: dict[str, Any] | None = None,
        *,
        hosts: tuple[str, ...] = (),
        modules: tuple[str, ...] = (),
        limits: dict[str, float] | None = None,
    ) -> RunResult:
        """As the gateway does: by key, and with bundle and receipt when it is not known."""
        bundle = released(Bundle(code=code, hosts=hosts, modules=modules))
        asked: dict[str, Any] = {
            "bundle_key": bundle.key,
            "arguments": arguments or {},
            "limits": limits or {},
        }
        response = await self.client.post("/runs", json=asked)
        if response.status_code == UNKNOWN_BUNDLE_STATUS:
            asked["bundle"] = bundle.model_dump(mode="json")
            response = await self.client.post("/runs", json=asked)
        assert response.status_code == 200, response.text
        return RunResult.model_validate_json(response.content)

    async def check(self, code: str) -> CheckResult:
        response = await self.client.post("/checks", json={"code": code})
        assert response.status_code == 200, response.text
        return CheckResult.model_validate_json(response.content)

    async def health(self) -> Health:
        return Health.model_validate_json((await self.client.get("/health")).content)


def client_of(socket: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(socket)),
        base_url="http://sandbox",
        headers={API_KEY_HEADER: API_KEY},
        timeout=30,
    )


async def start_process(
    directory: Path,
    environment: Mapping[str, str],
    root: Path = ROOT,
    within: Sequence[str] = (),
) -> asyncio.subprocess.Process:
    """``environment``: settings without their prefix; ``root``: where the package lies.

    ``within``: a command that runs it.
    """
    return await asyncio.create_subprocess_exec(
        *(*within, sys.executable, "-m", "sandbox.app"),
        cwd=root,
        env={
            "PATH": os.defpath,
            "MCPBOX_SANDBOX_SOCKET": str(directory / "sandbox.sock"),
            "MCPBOX_SANDBOX_API_KEY": API_KEY,
            "MCPBOX_SANDBOX_RECEIPT_KEYS": SIGNER.public_key,
            **{f"MCPBOX_SANDBOX_{name}": value for name, value in environment.items()},
        },
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(
    directory: Path, environment: Mapping[str, str] | None = None, root: Path = ROOT
) -> AsyncGenerator[RunningService]:
    process = await start_process(directory, environment or {}, root)
    assert process.stderr is not None
    log: list[bytes] = []
    async with client_of(directory / "sandbox.sock") as client:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not log or b"INFO ready" not in log[-1]:
                    log.append(await process.stderr.readline())
                    assert log[-1], b"".join(log).decode()
            reading = asyncio.ensure_future(process.stderr.read())
            yield RunningService(process, client)
            reading.cancel()
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
