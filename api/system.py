"""How the parts are: for the panel, for probes, for Prometheus."""

import asyncio
from enum import StrEnum

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import text

from api.deps import Parts, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.errors import Unavailable
from mcpbox.store.session import reading
from sandbox.contract import Health

router = APIRouter(tags=["system"])
probes = APIRouter(include_in_schema=False)


class Condition(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


class ServiceBody(BaseModel):
    name: str
    state: Condition
    detail: str
    warnings: list[str] = []
    """What it does without, why, and what to do about it."""


class SystemBody(BaseModel):
    services: list[ServiceBody]


@router.get("/system", responses=problems())
async def get_system(_: PersonDep, parts: PartsDep) -> SystemBody:
    """Asked afresh at each call."""
    services = await asyncio.gather(_postgres(parts), _temporal(parts), _sandbox(parts))
    return SystemBody(services=list(services))


@probes.get("/health")
async def health() -> dict[str, str]:
    """That this process answers; what it stands on is in ``/api/v1/system``."""
    return {"status": "ok"}


async def _postgres(parts: Parts) -> ServiceBody:
    try:
        async with reading(parts.sessions) as session:
            version = await session.scalar(text("SHOW server_version"))
    except Unavailable:
        return ServiceBody(name="Postgres", state=Condition.DOWN, detail="not reachable")
    return ServiceBody(name="Postgres", state=Condition.OK, detail=str(version))


async def _temporal(parts: Parts) -> ServiceBody:
    if not await parts.temporal.healthy():
        return ServiceBody(name="Temporal", state=Condition.DOWN, detail="not reachable")
    return ServiceBody(name="Temporal", state=Condition.OK, detail="serving")


async def _sandbox(parts: Parts) -> ServiceBody:
    try:
        found = await parts.sandbox.health()
    except Unavailable:
        return ServiceBody(name="Sandbox", state=Condition.DOWN, detail="not reachable")
    return sandbox_as_measured(found)


def sandbox_as_measured(found: Health) -> ServiceBody:
    state = Condition.OK if found.level == "full" else Condition.DEGRADED
    return ServiceBody(
        name="Sandbox",
        state=state,
        detail=f"isolation {found.level}",
        warnings=[
            f"The layer {layer.name} is inactive. {layer.detail}"
            for layer in found.layers
            if not layer.active
        ],
    )
