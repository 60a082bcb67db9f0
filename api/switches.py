"""What takes power away at once, without approval, and what gives it back (I9)."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.deps import PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.servers import ServerSummary
from mcpbox.domain.texts import Text
from mcpbox.domain.tools import ToolDetail

router = APIRouter(tags=["switches"])
_REFUSALS = problems(NotFound, Refused, Conflict, Invalid)

Why = Annotated[Text, Field(max_length=REASON_MAX_LENGTH, description="Kept in the audit log.")]


class Reason(BaseModel):
    reason: Why = ""


class NeededReason(BaseModel):
    reason: Annotated[Why, Field(min_length=1)]


@router.post("/servers/{server_id}/stop", responses=_REFUSALS)
async def stop_server(
    person: PersonDep, parts: PartsDep, server_id: ServerId, body: Reason
) -> ServerSummary:
    """None of its tools is listed or called any more, and calls in flight end."""
    return await parts.servers.stop(person, server_id, body.reason)


@router.post("/servers/{server_id}/start", responses=_REFUSALS)
async def start_server(
    person: PersonDep, parts: PartsDep, server_id: ServerId, body: Reason
) -> ServerSummary:
    """Its released tools can be called again; not while it is quarantined."""
    return await parts.servers.start(person, server_id, body.reason)


@router.post("/servers/{server_id}/quarantine", responses=_REFUSALS)
async def quarantine_server(
    person: PersonDep, parts: PartsDep, server_id: ServerId, body: NeededReason
) -> ServerSummary:
    """Stop it, and let nothing of it be started, enabled or tried before an admin lifts that."""
    return await parts.servers.quarantine(person, server_id, body.reason)


@router.post("/servers/{server_id}/quarantine/lift", responses=_REFUSALS)
async def lift_server_quarantine(
    person: PersonDep, parts: PartsDep, server_id: ServerId, body: NeededReason
) -> ServerSummary:
    """For admins. It stays stopped until it is started."""
    return await parts.servers.lift_quarantine(person, server_id, body.reason)


@router.post("/servers/{server_id}/delete", status_code=204, responses=_REFUSALS)
async def delete_server(
    person: PersonDep, parts: PartsDep, server_id: ServerId, body: Reason
) -> None:
    """All its tools, grants and secrets end with it, and calls in flight; nothing undoes it."""
    await parts.deletion.delete(person, server_id, body.reason)


@router.post("/tools/{tool_id}/disable", responses=_REFUSALS)
async def disable_tool(
    person: PersonDep, parts: PartsDep, tool_id: ToolId, body: Reason
) -> ToolDetail:
    """It is not listed or called any more, and calls in flight end."""
    return await parts.switches.disable(person, tool_id, body.reason)


@router.post("/tools/{tool_id}/enable", responses=_REFUSALS)
async def enable_tool(
    person: PersonDep, parts: PartsDep, tool_id: ToolId, body: Reason
) -> ToolDetail:
    """Its released version, if it has one, can be called again; not while it is quarantined."""
    return await parts.switches.enable(person, tool_id, body.reason)


@router.post("/tools/{tool_id}/revoke", responses=_REFUSALS)
async def revoke_release(
    person: PersonDep, parts: PartsDep, tool_id: ToolId, body: NeededReason
) -> ToolDetail:
    """Take its released version away; only people's decision on a request brings it back."""
    return await parts.switches.revoke(person, tool_id, body.reason)


@router.post("/tools/{tool_id}/quarantine", responses=_REFUSALS)
async def quarantine_tool(
    person: PersonDep, parts: PartsDep, tool_id: ToolId, body: NeededReason
) -> ToolDetail:
    """Disable it, and let it not be enabled or tried before an admin lifts that."""
    return await parts.switches.quarantine(person, tool_id, body.reason)


@router.post("/tools/{tool_id}/quarantine/lift", responses=_REFUSALS)
async def lift_tool_quarantine(
    person: PersonDep, parts: PartsDep, tool_id: ToolId, body: NeededReason
) -> ToolDetail:
    """For admins. It stays disabled until it is enabled."""
    return await parts.switches.lift_quarantine(person, tool_id, body.reason)
