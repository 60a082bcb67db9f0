"""Servers that are being brought back after the sandbox was started anew."""

from fastapi import APIRouter

from api.deps import PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.errors import Conflict, NotFound, Refused
from mcpbox.domain.ids import ServerId
from mcpbox.domain.recovery import Recovery, RecoveryOutcome, ResolveDraft

router = APIRouter(tags=["recovery"])


@router.get("/recoveries", responses=problems())
async def list_recoveries(_: PersonDep, parts: PartsDep) -> list[Recovery]:
    """The newest of each server; those that wait for an admin's answer first."""
    return await parts.recoveries.list()


@router.get("/servers/{server_id}/recovery", responses=problems(NotFound))
async def get_recovery(_: PersonDep, parts: PartsDep, server_id: ServerId) -> Recovery:
    return await parts.recoveries.get(server_id)


@router.post("/servers/{server_id}/recovery", responses=problems(NotFound, Refused, Conflict))
async def resolve_recovery(
    person: PersonDep, parts: PartsDep, server_id: ServerId, draft: ResolveDraft
) -> RecoveryOutcome:
    """Answer one that waits: ``retry``, ``stop`` the server, or ``ignore``; for admins."""
    return await parts.recoveries.resolve(person, server_id, draft)
