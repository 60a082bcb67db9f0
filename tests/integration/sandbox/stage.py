"""A service that was given servers which speak over stdio, and the client that asks it for them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from mcpbox.sandbox_client import SandboxClient
from sandbox.contract import Bundle, RunLimits, RunResult, StdioServer
from tests.integration.sandbox.running import API_KEY, RunningService, running
from tests.integration.sandbox.talkers import HONEST, HOSTILE, installed
from tests.integration.sandbox.web import Web
from tests.receipts import released

LIMITS = RunLimits(wall_s=20)


@dataclass(frozen=True)
class Stage:
    service: RunningService
    client: SandboxClient
    directory: Path
    module_set: str

    def bundle(
        self,
        tool: str | None,
        *args: str,
        module: str = "talker",
        server: str = "ana",
        **fields: Any,
    ) -> Bundle:
        stdio = StdioServer(module=module, args=args, tool=tool)
        given: dict[str, Any] = {"modules": (module,), "module_set": self.module_set, **fields}
        return Bundle(code="", stdio=stdio, server=server, **given)

    def release(self, tool: str, *args: str, **fields: Any) -> Bundle:
        """``changes`` are made to its receipt."""
        changes = fields.pop("changes", {})
        return released(self.bundle(tool, *args, **fields), **changes)


@asynccontextmanager
async def set_up(directory: Path, web: Web) -> AsyncGenerator[Stage]:
    """It may reach ``web`` by the name localhost, once that is granted."""
    async with running(directory, {"PRIVATE_HOSTS": f"localhost:{web.port}"}) as service:
        module_set = await installed(service, HONEST, HOSTILE)
        socket = str(directory / "sandbox.sock")
        client = SandboxClient(url="http://sandbox", api_key=SecretStr(API_KEY), socket=socket)
        yield Stage(service, client, directory, module_set.key)
        await client.aclose()


def answer(result: RunResult) -> Any:
    """What a tool of the honest server returned."""
    assert result.ok, result
    return result.result["structuredContent"]["result"]
