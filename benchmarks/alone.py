"""The gateway alone: its own process, tools from memory, and a sandbox that answers at once.

Beside it the floor, with the same tools. What a request costs here beyond the floor is ours.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import uvicorn
from pydantic import SecretStr
from uvicorn.loops.auto import auto_loop_factory

from benchmarks.beside import Listening, serving
from benchmarks.many_tools import called_tool, many_tools
from benchmarks.tool import ANSWER
from gateway.app import Gateway, Serving
from gateway.parts import Parts, parts_of
from mcpbox import logs
from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.ids import ClientId
from mcpbox.domain.people import Client, Scope
from mcpbox.domain.review_policy import SecuritySettings
from mcpbox.sandbox_client import SandboxClient
from mcpbox.settings import Settings
from mcpbox.store.changes import Changes, Topic
from mcpbox.usecases.development import Development
from sandbox.contract import RunResult

TOKEN = "only-for-benchmarks"
_NOWHERE = "postgresql://nobody@127.0.0.1:9/none"
_KEY = SecretStr("b" * 64)
_LIMITS = ("mcp_rate_limit_rpm", "user_rate_limit_rpm", "tool_rate_limit_rpm")
_RESULT = RunResult(ok=True, result=ANSWER, duration_ms=0.0)


@contextmanager
def running_alone(tools: int) -> Generator[Listening]:
    """With so many released tools."""
    with serving("benchmarks.alone", str(tools)) as server:
        yield server


class _AtOnce(SandboxClient):
    async def run(self, *_: Any, **__: Any) -> RunResult:
        return _RESULT


class _NoTrials(Development):
    def __init__(self) -> None:
        return

    async def end_quarantined(self) -> None:
        """There are none."""


class _Silence(Changes):
    """Connected, and nothing ever changes."""

    def __init__(
        self, on_change: Callable[[Topic, str], None], on_connected: Callable[[], None]
    ) -> None:
        super().__init__(_NOWHERE, on_change, on_connected)
        self._told = on_connected

    async def run(self) -> None:
        self.lost_at = None
        self._told()
        await asyncio.Event().wait()


def main() -> None:
    logs.configure("gateway", "WARNING")
    listener = socket.socket(fileno=int(sys.argv[1]))
    gateway = Gateway(_parts(int(sys.argv[2])))
    config = uvicorn.Config(
        gateway.app, http="h11", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(Serving(config, gateway).serve(sockets=[listener]))


def _parts(tools: int) -> Parts:
    """The real ones, but for what would reach another process."""
    callables = [called_tool(), *many_tools(tools)]
    caller = Client(
        id=ClientId(UUID(int=1)),
        name="bench",
        owner="bench",
        scopes=frozenset({Scope.CALL}),
        created_at=utc_now(),
    )

    async def authenticate(_: str) -> Client:
        return caller

    async def load() -> list[CallableTool]:
        return callables

    async def settings() -> SecuritySettings:
        return SecuritySettings(**dict.fromkeys(_LIMITS, 1_000_000))

    async def forget(_: object) -> None:
        return

    real = parts_of(
        # Nothing but what is given here: not the settings of the person who runs this.
        Settings.model_construct(
            database_url=SecretStr(_NOWHERE),
            encryption_key=_KEY,
            sandbox_url="http://127.0.0.1:9",
            sandbox_api_key=_KEY,
        )
    )
    return replace(
        real,
        use_cases=replace(real.use_cases, development=_NoTrials()),
        sandbox=_AtOnce(url="http://sandbox", api_key=_KEY),
        authenticate=authenticate,
        record_seen=forget,
        load_callables=load,
        write_executions=forget,
        load_settings=settings,
        listen=_Silence,
    )


if __name__ == "__main__":
    main()
