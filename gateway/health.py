"""``/health``: whether the gateway can do its work, and to this machine also why not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.announcer import Announcer
from gateway.calls import Calls
from gateway.catalog import Catalog
from gateway.execution_log import ExecutionLog
from gateway.loopback import is_local
from gateway.turns import Turns
from mcpbox.breaker import Breaker
from mcpbox.domain.errors import Unavailable
from mcpbox.sandbox_client import SandboxClient

_SANDBOX_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """Always 200, because a process that answers needs no restart."""

    catalog: Catalog
    calls: Calls
    executions: ExecutionLog
    announcer: Announcer
    sandbox: SandboxClient
    breaker: Breaker
    turns: Turns
    postgres_lost_at: Callable[[], float | None]

    async def answer(self, request: Request) -> JSONResponse:
        sandbox = await self._sandbox_state()
        postgres = "connected" if self.postgres_lost_at() is None else "lost"
        well = self.catalog.trusted and postgres == "connected" and sandbox == "ready"
        answer: dict[str, Any] = {"status": "ok" if well else "degraded"}
        if is_local(request):
            answer |= {
                "postgres": postgres,
                "sandbox": sandbox,
                "catalog": {"trusted": self.catalog.trusted, "released_tools": len(self.catalog)},
                "breaker": "open" if self.breaker.is_open else "closed",
                "calls_in_flight": self.calls.in_flight,
                "calls_waiting": self.turns.waiting,
                "sessions": len(self.announcer),
                "execution_log": {
                    "backlog": self.executions.backlog,
                    "dropped": self.executions.dropped,
                },
            }
        return JSONResponse(answer)

    async def _sandbox_state(self) -> str:
        try:
            with anyio.fail_after(_SANDBOX_TIMEOUT_S):
                health = await self.sandbox.health()
        except (Unavailable, TimeoutError):
            return "unreachable"
        return "ready" if health.ready else "not ready"
