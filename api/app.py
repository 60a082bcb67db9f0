"""The REST application: ``/api/v1``, ``/health`` and ``/metrics``."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, FastAPI

from api import auth, catalog, executions, metrics, problems, requests, system
from api.deps import Parts
from mcpbox import __version__
from mcpbox.domain.errors import NotFound

PREFIX = "/api/v1"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_api(parts: Parts, *, lifespan: Lifespan | None = None) -> FastAPI:
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
    v1 = APIRouter(prefix=PREFIX)
    for module in (auth, requests, catalog, executions, system):
        v1.include_router(module.router)
    app.include_router(v1)
    app.include_router(system.probes)
    app.include_router(metrics.router)
    # Last, so that the panel, which is mounted at "/", never answers for the API.
    app.add_api_route("/api/{rest:path}", _nothing_here, methods=_METHODS, include_in_schema=False)
    return app


async def _nothing_here(rest: str) -> None:
    raise NotFound("route", f"/api/{rest}")
