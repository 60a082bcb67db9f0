"""Servers and tools, read-only."""

from fastapi import APIRouter

from api.deps import PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.errors import NotFound
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.servers import ServerSummary
from mcpbox.domain.tools import ToolDetail, ToolSummary, ToolVersion

router = APIRouter(tags=["catalog"])


@router.get("/servers", responses=problems())
async def list_servers(_: PersonDep, parts: PartsDep, page: PageDep) -> Page[ServerSummary]:
    """By name."""
    return await parts.servers.list(page)


@router.get("/servers/{server_id}", responses=problems(NotFound))
async def get_server(_: PersonDep, parts: PartsDep, server_id: ServerId) -> ServerSummary:
    return await parts.servers.get(server_id)


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


@router.get("/tools/{tool_id}/versions", responses=problems(NotFound))
async def list_versions(_: PersonDep, parts: PartsDep, tool_id: ToolId) -> list[ToolVersion]:
    """Newest first."""
    return await parts.tools.versions(tool_id)
