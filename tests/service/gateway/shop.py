"""A source behind a gateway's calls, without the gateway around them."""

import asyncio
from typing import Any

from mcp_types import CallToolRequestParams, CallToolResult

from gateway.calls import Calls
from gateway.catalog import Catalog
from gateway.execution_log import ExecutionLog
from gateway.line import Line
from gateway.metrics import CallMetrics
from gateway.passing import Passing
from gateway.rates import Rates
from gateway.sources import SourceSessions
from mcpbox.domain.executions import Execution
from mcpbox.domain.people import Principal, PrincipalKind, Scope
from mcpbox.policies.redaction import Redactor
from tests.mcp_sources import Context, Source
from tests.service.gateway.factories import soon
from tests.service.gateway.world import World

CALLER = Principal(kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset({Scope.CALL}))
SECRET = "correct-horse-battery"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Shop:
    """Calls of ``shop__echo``, which a source answers."""

    def __init__(
        self, world: World, source: Source, *, timeout_s: float = 20.0, idle_s: float = 300.0
    ) -> None:
        self.world = world
        self.source = source
        self.executions = ExecutionLog(world.write_executions)
        self.catalog = Catalog(
            world.load_callables, lambda: None, lambda _: self.calls.end_forbidden()
        )
        self.clock = Clock()
        self.sessions = SourceSessions(world.check_source, idle_s=idle_s, clock=self.clock)
        self.passing = Passing(
            self.sessions, world.renew_source, timeout_s=timeout_s, clock=self.clock
        )
        self.calls = Calls(
            self.catalog,
            world.sandbox,
            self.executions,
            Rates(lambda: world.settings),
            world.turns,
            CallMetrics(),
            self.passing,
            redactor=Redactor,
        )

    async def call(self, **arguments: Any) -> CallToolResult:
        return await soon(self.calls.call(Line(CALLER), "shop__echo", arguments))

    async def logged(self) -> Execution:
        await self.executions.flush()
        return self.world.executions[-1]

    async def narrow(self, **changes: Any) -> None:
        self.world.narrow("shop__echo", **changes)
        await self.catalog.reload()

    async def held_call(self) -> "tuple[asyncio.Task[CallToolResult], asyncio.Event]":
        """A call that its source does not answer; the event: it was cancelled there."""
        arrived, cancelled = asyncio.Event(), asyncio.Event()

        async def hang(_: Context, __: CallToolRequestParams) -> CallToolResult:
            arrived.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            raise AssertionError

        self.source.answer = hang
        call = asyncio.create_task(self.call(text="x"))
        await soon(arrived.wait())
        return call, cancelled
