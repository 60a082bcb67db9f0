"""The execution log, read-only, and the numbers made from it."""

from fastapi import APIRouter

from api.deps import PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.errors import NotFound
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin, Overview
from mcpbox.domain.ids import ExecutionId, ToolId

router = APIRouter(tags=["executions"])


@router.get("/executions", responses=problems())
async def list_executions(
    _: PersonDep,
    parts: PartsDep,
    page: PageDep,
    tool_id: ToolId | None = None,
    outcome: ExecutionOutcome | None = None,
    origin: Origin | None = None,
) -> Page[Execution]:
    """Newest first."""
    return await parts.executions.list(page, tool_id=tool_id, outcome=outcome, origin=origin)


@router.get("/executions/{execution_id}", responses=problems(NotFound))
async def get_execution(_: PersonDep, parts: PartsDep, execution_id: ExecutionId) -> Execution:
    return await parts.executions.get(execution_id)


@router.get("/overview", responses=problems())
async def get_overview(_: PersonDep, parts: PartsDep) -> Overview:
    """Counts of now, and the calls of the last 24 hours."""
    return await parts.executions.overview()
