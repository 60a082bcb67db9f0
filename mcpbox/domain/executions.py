"""One call of a tool, as the log keeps it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest, ExecutionId, ToolId

RESULT_MAX_CHARS = 10_000
STDOUT_MAX_CHARS = 10_000
ERROR_MAX_CHARS = 5_000


class Origin(StrEnum):
    CALL = "call"
    """A client called the released version."""
    TRIAL = "trial"
    """An author tried a version that need not be approved."""


class ExecutionOutcome(StrEnum):
    OK = "ok"
    ERROR = "error"
    """The tool itself failed."""
    REFUSED = "refused"
    """A policy or the schema refused the call before it ran."""
    UNAVAILABLE = "unavailable"
    """A part of ours did not answer."""


class Execution(DomainModel):
    id: ExecutionId
    tool_id: ToolId
    tool_name: str
    """``{server}__{tool}`` at the time of the call."""
    version_number: int
    digest: Digest
    caller: str
    origin: Origin
    outcome: ExecutionOutcome
    arguments: dict[str, Any]
    """Values of keys that look like secrets are replaced."""
    result: str
    """JSON text, cut at :data:`RESULT_MAX_CHARS`."""
    error: str
    stdout: str
    undeclared: tuple[str, ...] = ()
    """Hosts that it tried to reach though its code does not name them."""
    duration_ms: float
    started_at: datetime


class Overview(DomainModel):
    """The numbers on the first page; calls are those of the last 24 hours."""

    awaiting_decision: int
    servers_running: int
    servers_total: int
    tools_released: int
    tools_total: int
    calls: int
    calls_failed: int
    call_p50_ms: float | None
    call_p99_ms: float | None
    calls_by_hour: list[int]
    """24 numbers, oldest hour first."""
    failures_by_hour: list[int]
