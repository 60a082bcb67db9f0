"""The management tool that shows an author how calls of a tool went."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from gateway.definition import Caller, ToolDefinition, ToolInput, ToolOutput
from mcpbox.domain.base import PageRequest
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin
from mcpbox.domain.ids import ExecutionId, ToolId

LIMIT_MAX = 50
TEXT_MAX_CHARS = 2_000
"""Of one text: a model reads all that it is sent, and 50 of the longest would be too much."""
_CUT = "… (cut)"


class ToolLogsInput(ToolInput):
    tool_id: ToolId = Field(description="The tool's id, from mcpbox_list_tools.")
    limit: int = Field(default=10, ge=1, le=LIMIT_MAX, description="The newest so many.")
    outcome: ExecutionOutcome | None = Field(
        default=None,
        description="Only those that ended so. error: the tool itself failed; refused: a policy or "
        "the schema, before it ran; unavailable: a part of MCPbox did not answer.",
    )


class LogEntry(BaseModel):
    id: ExecutionId
    success: bool
    outcome: ExecutionOutcome
    origin: Origin = Field(description="call: of the released version; trial: mcpbox_test_code.")
    version: int
    caller: str
    started_at: datetime
    duration_ms: float
    arguments: dict[str, Any] = Field(description="What looks like a secret is replaced.")
    result: str = Field(description="As JSON; a long text ends in '… (cut)', here and below.")
    error: str
    stdout: str
    undeclared_hosts: list[str] = Field(
        description="It tried to reach them though its code does not name them."
    )

    @classmethod
    def of(cls, execution: Execution) -> "LogEntry":
        return cls(
            id=execution.id,
            success=execution.outcome is ExecutionOutcome.OK,
            outcome=execution.outcome,
            origin=execution.origin,
            version=execution.version_number,
            caller=execution.caller,
            started_at=execution.started_at,
            duration_ms=execution.duration_ms,
            arguments=execution.arguments,
            result=_cut(execution.result),
            error=_cut(execution.error),
            stdout=_cut(execution.stdout),
            undeclared_hosts=list(execution.undeclared),
        )


class ToolLogsOutput(ToolOutput):
    tool_id: ToolId
    tool_name: str
    logs: list[LogEntry] = Field(description="Newest first.")
    total: int = Field(description="How many the log keeps.")


async def get_tool_logs(caller: Caller, given: ToolLogsInput) -> ToolLogsOutput:
    """Show how the newest calls of a tool went: arguments, result, error, output, caller, time.

    Look here when a released tool fails or answers what it should not; a call shows up about a
    second after it ended.
    """
    tool = await caller.use_cases.tools.get(given.tool_id)
    page = await caller.use_cases.executions.list(
        PageRequest(page_size=given.limit), tool_id=given.tool_id, outcome=given.outcome
    )
    return ToolLogsOutput(
        tool_id=tool.id,
        tool_name=tool.callable_name,
        logs=[LogEntry.of(execution) for execution in page.items],
        total=page.total,
        next=_after_reading(page.items),
    )


def _after_reading(executions: list[Execution]) -> str:
    if not executions:
        return "Nothing is kept of it yet; try it with mcpbox_test_code."
    if any(execution.outcome is ExecutionOutcome.ERROR for execution in executions):
        return "Mend the code with mcpbox_update_tool, and try those arguments: mcpbox_test_code."
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX_CHARS else text[:TEXT_MAX_CHARS] + _CUT


LOG_TOOLS = (
    ToolDefinition(
        "mcpbox_get_tool_logs",
        "Show a tool's calls",
        ToolLogsInput,
        ToolLogsOutput,
        get_tool_logs,
        read_only=True,
    ),
)
