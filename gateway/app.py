"""Composition of the gateway process: MCP in its views, ``/health`` and ``/metrics``, no more."""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio
import structlog
import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.loops.auto import auto_loop_factory

from gateway.announcer import Announcer
from gateway.calls import Calls
from gateway.catalog import Catalog
from gateway.clients import KnownClients
from gateway.endpoint import LINE_KEY, MAX_BODY_BYTES, McpEndpoint, security_for
from gateway.execution_log import ExecutionLog
from gateway.health import Health
from gateway.line import Line
from gateway.metrics import CallMetrics, GatewayMetrics
from gateway.parts import Parts, parts_of
from gateway.passing import Passing
from gateway.rates import Rates
from gateway.resources import uri_of
from gateway.security import SettingsInForce
from gateway.server import Context, McpFace
from gateway.sources import SourceSessions
from gateway.views import routes_to
from mcpbox import logs, tracing
from mcpbox.domain.errors import Unavailable
from mcpbox.domain.review_policy import SecuritySettings
from mcpbox.settings import Settings
from mcpbox.store.changes import Topic
from mcpbox.temporal import settle

SESSION_IDLE_S = 1800.0
MAX_SESSIONS = 2000
"""Handshake-era sessions; many clients leave theirs behind until it is idle for too long."""
_RETRY_S = 0.5
DRAIN_S = 6
"""With the last write of the log it stays below what the supervisor waits before it kills."""

log = structlog.get_logger()


class Gateway:
    """The wiring; :attr:`app` serves it, and its lifespan runs what works beside requests."""

    def __init__(self, parts: Parts) -> None:
        self._sandbox = parts.sandbox
        self._breaker = parts.breaker
        self._metrics_token = parts.metrics_token
        self.announcer = Announcer()
        self._development = parts.use_cases.development
        self._narrowed = anyio.Event()
        self._executions = ExecutionLog(parts.write_executions)
        self.catalog = Catalog(parts.load_callables, self._lost_at, self._reloaded)
        self._settings = SettingsInForce(parts.load_settings, self.announcer.changed)
        self._turns = parts.turns
        self._call_metrics = CallMetrics()
        self._turns.on_waited = self._call_metrics.waited
        self._rates = Rates(lambda: self.settings)
        self._source_sessions = SourceSessions(parts.check_source)
        self._passing = Passing(
            self._source_sessions, parts.renew_source, timeout_s=parts.source_timeout_s
        )
        self._calls = Calls(
            self.catalog,
            parts.sandbox,
            self._executions,
            self._rates,
            self._turns,
            self._call_metrics,
            self._passing,
            redactor=lambda: self._settings.redactor,
        )
        self._news = parts.news
        self._clients = KnownClients(parts.authenticate, parts.record_seen, self._lost_at)
        self.face = McpFace(
            line_of=_line_of,
            use_cases=parts.use_cases,
            catalog=self.catalog,
            calls=self._calls,
            announcer=self.announcer,
            version=version("mcpbox"),
            settings=lambda: self.settings,
            news=self._news,
            panel_url=parts.panel_url,
        )
        security = security_for(parts.public_hosts)
        self._manager = StreamableHTTPSessionManager(
            self.face.server,
            security_settings=security,
            session_idle_timeout=SESSION_IDLE_S,
            max_sessions=MAX_SESSIONS,
            max_request_body_size=MAX_BODY_BYTES,
        )
        self._admission = parts.admission(self._clients)
        self._endpoint = McpEndpoint(self._manager, self._admission, security, self._rates)
        self._changes = parts.listen(self._changed, self._connected)
        self.crashed = False
        """One of the tasks beside the requests ended: nothing here is up to date any more."""
        self.app = self._build_app()

    @property
    def settings(self) -> SecuritySettings:
        """In force now."""
        return self._settings.current

    def drain(self) -> None:
        """Begin to stop: no new requests, streams end, calls in flight may finish."""
        log.info("gateway.draining", calls_in_flight=self._calls.in_flight)
        self.announcer.close()
        self._news.close()
        self._endpoint.drain()

    def _build_app(self) -> Starlette:
        health = Health(
            self.catalog,
            self._calls,
            self._executions,
            self.announcer,
            self._sandbox,
            self._breaker,
            self._turns,
            self._lost_at,
        )
        metrics = GatewayMetrics(
            self._call_metrics,
            self._rates,
            self._admission,
            self._turns,
            self._passing,
            self._breaker,
            self.catalog,
            self.announcer,
            self._executions,
            self._lost_at,
            self._metrics_token,
        )
        app = Starlette(
            routes=[
                *routes_to(self._endpoint),
                *self._admission.routes,
                Route("/health", health.answer, methods=["GET"]),
                Route("/metrics", metrics.answer, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _not_here},
            lifespan=self._lifespan,
        )
        app.router.redirect_slashes = False
        return app

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        self.crashed = True
        async with anyio.create_task_group() as beside:
            for task in (
                self._changes.run,
                self.catalog.run,
                self._settings.run,
                self._clients.run,
                self._endpoint.run,
                self.announcer.run,
                self._executions.run,
                self._end_trials,
                self._probe_sandbox,
            ):
                beside.start_soon(task)
            async with self._manager.run():
                self.crashed = False
                try:
                    yield
                finally:
                    self.crashed = beside.cancel_scope.cancel_called
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as ending:
                    ending.start_soon(self._executions.close)
                    ending.start_soon(self._passing.close)
                    ending.start_soon(tracing.close)
                await settle()
            beside.cancel_scope.cancel()

    def _changed(self, topic: Topic, key: str) -> None:
        if topic is Topic.CATALOG:
            self.catalog.changed()
        elif topic is Topic.REQUESTS:
            self._news.changed(key)
            if key:
                self.announcer.updated(uri_of(key))
        elif topic is Topic.CLIENTS:
            self._clients.changed()
            self._endpoint.recheck()
        elif topic is Topic.POLICY:
            self._settings.changed()

    def _connected(self) -> None:
        self._news.changed("")
        self.catalog.reconnected()
        self._settings.changed()
        self._clients.changed()
        self._endpoint.recheck()

    def _reloaded(self, visible: bool) -> None:
        self._calls.end_forbidden()
        self._narrowed.set()
        if visible:
            self.announcer.changed()

    async def _end_trials(self) -> None:
        """After each change of the catalog, beside it: trials are in no catalog."""
        while True:
            await self._narrowed.wait()
            self._narrowed = anyio.Event()
            try:
                await self._development.end_quarantined()
            except Unavailable:
                await anyio.sleep(_RETRY_S)
                self._narrowed.set()

    async def _probe_sandbox(self) -> None:
        await self._breaker.run(self._sandbox.health)

    def _lost_at(self) -> float | None:
        return self._changes.lost_at


def build_app(parts: Parts) -> Starlette:
    return Gateway(parts).app


class Serving(uvicorn.Server):
    """Uvicorn waits for open streams when it stops, so they have to be ended first."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def on_tick(self, counter: int) -> bool:
        return self._gateway.crashed or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gateway.drain()
        await super().shutdown(sockets)


def main() -> None:
    """Raises: Invalid: a setting is missing."""
    settings = Settings()
    parts = parts_of(settings)
    logs.configure("gateway", settings.log_level)
    tracing.configure("gateway")
    # One line per session and request, with the session's id in it.
    logging.getLogger("mcp").setLevel(logging.WARNING)
    gateway = Gateway(parts)
    config = uvicorn.Config(
        gateway.app,
        host=settings.bind_host,
        port=settings.gateway_port,
        # The other parser keeps white space behind header values, which the protocol forbids.
        http="h11",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # uvloop, if installed
        runner.run(Serving(config, gateway).serve())
    if gateway.crashed:
        sys.exit(1)


def _line_of(context: Context) -> Line:
    """Of the request that is being answered, not of the session it belongs to."""
    if context.request is None:
        raise RuntimeError("a request without HTTP has no identity")
    return context.request.scope[LINE_KEY]


async def _not_here(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse(
        {
            "error": "not_found" if status == 404 else "method_not_allowed",
            "error_description": (
                "This is the MCP gateway: POST to /mcp, to /s/{server}/mcp for the tools of one "
                "server, or to /search/mcp to find tools by words; or GET /health."
            ),
        },
        status_code=status,
    )
