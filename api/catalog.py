"""Servers and tools: everything is read here, and little is changed."""

from fastapi import APIRouter
from pydantic import BaseModel

from api.deps import PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.errors import NotFound, Refused
from mcpbox.domain.external_sources import SourceDetail
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.receipts import ReleaseReceipt
from mcpbox.domain.releases import ReleasedVersion
from mcpbox.domain.servers import IsolationMode, ServerModules, ServerSummary
from mcpbox.domain.tools import ToolDetail, ToolSummary, ToolVersion

router = APIRouter(tags=["catalog"])


class ServerChange(BaseModel):
    isolation: IsolationMode


@router.get("/servers", responses=problems())
async def list_servers(_: PersonDep, parts: PartsDep, page: PageDep) -> Page[ServerSummary]:
    """By name."""
    return await parts.servers.list(page)


@router.get("/servers/{server_id}", responses=problems(NotFound))
async def get_server(_: PersonDep, parts: PartsDep, server_id: ServerId) -> ServerSummary:
    return await parts.servers.get(server_id)


@router.get("/servers/{server_id}/source", responses=problems(NotFound))
async def get_source_of_server(_: PersonDep, parts: PartsDep, server_id: ServerId) -> SourceDetail:
    """What a server of kind external passes its calls on to."""
    return await parts.sources.find_of(server_id)


@router.get("/servers/{server_id}/modules", responses=problems(NotFound))
async def get_server_modules(_: PersonDep, parts: PartsDep, server_id: ServerId) -> ServerModules:
    """What its tools may import beyond the default modules, and the pinned packages behind it."""
    return await parts.servers.modules(server_id)


@router.patch("/servers/{server_id}", responses=problems(NotFound, Refused))
async def change_server(
    person: PersonDep, parts: PartsDep, server_id: ServerId, change: ServerChange
) -> ServerSummary:
    """Choose how the calls of its tools are kept apart; for admins. It acts at once."""
    return await parts.servers.set_isolation(person, server_id, change.isolation)


@router.get("/tools", responses=problems(NotFound))
async def list_tools(
    _: PersonDep, parts: PartsDep, page: PageDep, server_id: ServerId | None = None
) -> Page[ToolSummary]:
    """By server name, then tool name."""
    return await parts.tools.list(server_id, page)


@router.get("/tools/{tool_id}", responses=problems(NotFound))
async def get_tool(_: PersonDep, parts: PartsDep, tool_id: ToolId) -> ToolDetail:
    """With its newest and its released version."""
    return await parts.tools.get(tool_id)


@router.get("/tools/{tool_id}/receipt", responses=problems(NotFound))
async def get_receipt(_: PersonDep, parts: PartsDep, tool_id: ToolId) -> ReleaseReceipt:
    """The signed approval of its released version, without which the sandbox does not run it."""
    return await parts.receipts.of_tool(tool_id)


@router.get("/tools/{tool_id}/releases", responses=problems(NotFound))
async def list_releases(_: PersonDep, parts: PartsDep, tool_id: ToolId) -> list[ReleasedVersion]:
    """All versions, newest first, each with its releases: by whom, from when to when, revoked."""
    return await parts.releases.versions(tool_id)


@router.get("/tools/{tool_id}/versions", responses=problems(NotFound))
async def list_versions(_: PersonDep, parts: PartsDep, tool_id: ToolId) -> list[ToolVersion]:
    """Newest first."""
    return await parts.tools.versions(tool_id)
