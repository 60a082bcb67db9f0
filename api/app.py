"""The REST application: ``/api/v1``, ``/health`` and ``/metrics``."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, HTTPException, Request
from starlette.routing import Match

from api import (
    audit,
    auth,
    catalog,
    clients,
    codec,
    delegations,
    executions,
    grants,
    metrics,
    notices,
    problems,
    recovery,
    requests,
    review_policy,
    secrets,
    sources,
    switches,
    system,
    users,
)
from api.body_limit import BodyLimit
from api.deps import Parts
from api.hosts import HostLimit
from mcpbox import __version__
from mcpbox.domain.errors import Invalid, NotFound

PREFIX = "/api/v1"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_api(
    parts: Parts,
    *,
    hosts: frozenset[str] = frozenset(),
    web_ui_origin: str = "",
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """``hosts``: names, beside loopback, that it answers to.

    ``web_ui_origin``: of Temporal's Web UI, which alone may ask the codec server from a browser.
    """
    app = FastAPI(
        title="MCPbox",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.parts = parts
    problems.install(app)
    v1 = APIRouter(prefix=PREFIX, responses=problems.problems(Invalid))
    for module in (
        auth,
        users,
        clients,
        requests,
        delegations,
        review_policy,
        catalog,
        grants,
        secrets,
        executions,
        system,
        audit,
        sources,
        switches,
        recovery,
        notices,
        codec,
    ):
        v1.include_router(module.router)
    app.include_router(v1)
    app.include_router(system.probes)
    app.include_router(metrics.router)
    # Last, so that the panel, which is mounted at "/", never answers for the API.
    for path in ("/api", "/api/{rest:path}"):
        app.add_api_route(path, _nothing_here, methods=_METHODS, include_in_schema=False)
    app.add_middleware(BodyLimit)
    app.add_middleware(codec.CodecCors, prefix=PREFIX, origin=web_ui_origin)
    app.add_middleware(HostLimit, names=LOOPBACK | hosts)
    return app


async def _nothing_here(request: Request) -> None:
    """Answers for every address under ``/api`` that no route took, so a wrong method ends here."""
    elsewhere = [
        route for route in request.app.routes if route.matches(request.scope)[0] is Match.PARTIAL
    ]
    if not elsewhere:
        raise NotFound("route", request.url.path)
    methods = ", ".join(
        method
        for method in _METHODS
        if any(r.matches({**request.scope, "method": method})[0] is Match.FULL for r in elsewhere)
    )
    raise HTTPException(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"{request.method} does nothing here; use {methods}.",
        headers={"allow": methods},
    )
