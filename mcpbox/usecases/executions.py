"""Reading the execution log, and the numbers made from it."""

from mcpbox.domain.base import Page, PageRequest
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin, Overview
from mcpbox.domain.ids import ExecutionId, ToolId
from mcpbox.store import executions
from mcpbox.store.session import Sessions, reading


class Executions:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def list(
        self,
        page: PageRequest,
        *,
        tool_id: ToolId | None = None,
        outcome: ExecutionOutcome | None = None,
        origin: Origin | None = None,
    ) -> Page[Execution]:
        """Newest first."""
        async with reading(self._sessions) as session:
            return await executions.executions(
                session, page, tool_id=tool_id, outcome=outcome, origin=origin
            )

    async def get(self, execution_id: ExecutionId) -> Execution:
        """Raises: NotFound."""
        async with reading(self._sessions) as session:
            return await executions.get_execution(session, execution_id)

    async def overview(self) -> Overview:
        async with reading(self._sessions) as session:
            return await executions.overview(session)
