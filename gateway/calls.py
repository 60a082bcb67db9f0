"""The hot path: one call of a released tool, without a round trip to Postgres or Temporal."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

import anyio
import structlog
from mcp_types import CallToolResult, TextContent
from opentelemetry.trace import get_current_span
from pydantic_core import from_json, to_json

from gateway.answers import REPEATED_MAX_CHARS, failed, failure
from gateway.catalog import Catalog
from gateway.execution_log import ExecutionLog
from gateway.line import Line
from gateway.metrics import CallMetrics
from gateway.passing import Passing, may_pass, passed_on
from gateway.rates import Rates
from gateway.released import ReleasedTool
from gateway.turns import Turn, Turns
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import DomainError, NotFound, Refused, TooManyAttempts, Unavailable
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin
from mcpbox.domain.ids import ExecutionId
from mcpbox.domain.people import Principal
from mcpbox.policies.call import may_call
from mcpbox.policies.egress import Seen, undeclared
from mcpbox.policies.redaction import Redactor
from mcpbox.sandbox_client import OnOutput, SandboxClient
from mcpbox.tracing import Attribute
from mcpbox.usecases.outputs import RedactedOutput, cut_from
from sandbox.contract import RunError, RunResult

log = structlog.get_logger()
META_KEY = "mcpbox/execution"
_KEPT_APART = (
    "The run was stopped: it shared its process with other calls, and an admin has just ended "
    "that. Call again."
)
_REACHED_ANEW = (
    "The run was stopped: how the source of the tool is reached has just been changed. Call again."
)
_WENT_AWAY = "The client went away, so the run was cancelled."


@dataclass(slots=True, eq=False)
class _Flight:
    """A run that has not ended yet."""

    tool: ReleasedTool
    caller: Principal
    scope: anyio.CancelScope
    refusal: DomainError | None = None

    def end(self, refusal: DomainError) -> None:
        self.refusal = refusal
        self.scope.cancel()


class Calls:
    """A call is never sent twice: only its caller knows whether it may be repeated."""

    def __init__(
        self,
        catalog: Catalog,
        sandbox: SandboxClient,
        executions: ExecutionLog,
        rates: Rates,
        turns: Turns,
        metrics: CallMetrics,
        passing: Passing,
        *,
        clock: Callable[[], float] = time.perf_counter,
        redactor: Callable[[], Redactor | None] = Redactor,
    ) -> None:
        """``redactor``: what cuts secrets out of answers and of the log now, if anything does."""
        self._catalog = catalog
        self._sandbox = sandbox
        self._executions = executions
        self._rates = rates
        self._turns = turns
        self._metrics = metrics
        self._passing = passing
        self._clock = clock
        self._redactor = redactor
        self._flights: set[_Flight] = set()

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    def turn(self, line: Line) -> Turn:
        """A place among the calls that run."""
        return self._turns.turn(line.principal.label)

    async def call(
        self, line: Line, name: str, arguments: dict[str, Any], on_output: OnOutput | None = None
    ) -> CallToolResult:
        """``on_output`` is told what the tool prints, while it runs.

        Raises: NotFound: no such tool; it cannot be told from one that is not released.
        """
        record = _Record(line.principal, arguments, utc_now(), self._clock(), self._clock)
        try:
            await self._catalog.require_trusted()
            tool = self._found(name)
            ruling = may_call(tool.tool, line.principal, record.started_at) and tool.ruling
            (ruling and may_pass(tool)).require()
            tool.require_valid(arguments)
            self._rates.take_call(tool.tool.version.tool_id, name)
        except NotFound:
            raise
        except DomainError as error:
            self._log_refusal(record, name, error)
            return failed(error)
        return await self._run(line, tool, arguments, record, on_output)

    def end_forbidden(self) -> None:
        """Narrowing acts on calls in flight too: end those that could not begin now (I9)."""
        for flight in tuple(self._flights):
            found = self._catalog.find(flight.tool.name)
            if found is None:
                flight.end(Refused(f"The run was stopped: {flight.tool.name!r} is not released."))
                continue
            ruling = may_call(found.tool, flight.caller, utc_now()) and found.ruling
            ruling = ruling and may_pass(found)
            if not ruling:
                flight.end(Refused(f"The run was stopped. {ruling.reason}"))
            elif not flight.tool.is_reached_like(found):
                flight.end(Refused(_REACHED_ANEW))
            elif flight.tool.shares_process and not found.shares_process:
                flight.end(Refused(_KEPT_APART))
        self._passing.keep_only(
            tool.reach
            for tool in self._catalog.released
            if tool.reach is not None and tool.ruling and may_pass(tool)
        )

    def _found(self, name: str) -> ReleasedTool:
        tool = self._catalog.find(name)
        if tool is None:
            raise NotFound("tool", name)
        return tool

    async def _run(
        self,
        line: Line,
        tool: ReleasedTool,
        arguments: dict[str, Any],
        record: "_Record",
        on_output: OnOutput | None,
    ) -> CallToolResult:
        _mark(tool, line)
        redactor = self._redactor()
        if redactor is not None and tool.secrets:
            redactor = redactor.knowing(tool.hidden)
        if redactor is not None and on_output is not None:
            on_output = RedactedOutput(redactor, on_output)
        flight = _Flight(tool, line.principal, anyio.CancelScope())
        self._flights.add(flight)
        run: RunResult | None = None
        try:
            with flight.scope, line.on_hang_up(flight.scope.cancel):
                async with self.turn(line):
                    await self._catalog.require_trusted()  # it may have waited long
                    run = await self._carried_out(tool, arguments, on_output)
        except Refused as error:
            self._log(tool, record.of(tool, ExecutionOutcome.REFUSED, error=str(error)))
            return failed(error)
        except (Unavailable, TooManyAttempts) as error:
            self._log(tool, record.of(tool, ExecutionOutcome.UNAVAILABLE, error=str(error)))
            return failed(error)
        except BaseException as error:
            cancelled = isinstance(error, anyio.get_cancelled_exc_class())
            why = _WENT_AWAY if cancelled else "Internal error of the gateway."
            self._log(tool, record.of(tool, ExecutionOutcome.ERROR, error=why))
            raise
        finally:
            self._flights.discard(flight)
        if run is None:
            error = flight.refusal or Refused(_WENT_AWAY)
            outcome = ExecutionOutcome.REFUSED if flight.refusal else ExecutionOutcome.ERROR
            self._log(tool, record.of(tool, outcome, error=str(error)))
            return failed(error)
        if isinstance(on_output, RedactedOutput):
            await on_output.flush()
        return self._landed(record, tool, run if redactor is None else cut_from(redactor, run))

    async def _carried_out(
        self, tool: ReleasedTool, arguments: dict[str, Any], on_output: OnOutput | None
    ) -> RunResult:
        """Raises: Refused; TooManyAttempts; Unavailable."""
        if tool.reach is not None:
            return await self._passing.run(tool, tool.reach, arguments, on_output)
        return await self._sandbox.run(
            tool.bundle, arguments, on_output=on_output, secrets=tool.secrets
        )

    def _landed(self, record: "_Record", tool: ReleasedTool, run: RunResult) -> CallToolResult:
        text, value = _as_json(run.result)
        if not run.ok:
            kind = run.error.kind.value if run.error else "crashed"
            line = run.error.line if run.error else None
            answer = failure(kind, _told(run.error), line=line)
        elif tool.tool.version.passes_to is not None:
            answer = passed_on(value)
        else:
            answer = CallToolResult(
                content=[TextContent(text=text)],
                structured_content=_structured(text, value),
            )
        execution = record.of(
            tool,
            ExecutionOutcome.ERROR if answer.is_error else ExecutionOutcome.OK,
            result="" if answer.is_error else text,
            error=_words(answer) if answer.is_error else "",
            stdout=run.stdout,
            tried=_undeclared(tool, run),
        )
        self._log(tool, execution)
        told = {"id": str(execution.id), "stdout": run.stdout, "duration_ms": run.duration_ms}
        return answer.model_copy(update={"meta": {META_KEY: told}})

    def _log(self, tool: ReleasedTool, execution: Execution) -> None:
        span = get_current_span()
        if span.is_recording():
            span.set_attributes(
                {Attribute.EXECUTION: str(execution.id), Attribute.OUTCOME: execution.outcome}
            )
        if execution.outcome is not ExecutionOutcome.OK:
            # Not why: an error of a tool may say anything. The execution log keeps it.
            log.info(
                "call.failed",
                execution=str(execution.id),
                tool=execution.tool_name,
                caller=execution.caller,
                outcome=execution.outcome,
                duration_ms=execution.duration_ms,
            )
        self._metrics.ended(execution, passed_on=tool.tool.version.passes_to is not None)
        self._executions.add(execution)

    def _log_refusal(self, record: "_Record", name: str, error: DomainError) -> None:
        tool = self._catalog.find(name)
        if tool is not None:
            unavailable = isinstance(error, Unavailable)
            outcome = ExecutionOutcome.UNAVAILABLE if unavailable else ExecutionOutcome.REFUSED
            self._log(tool, record.of(tool, outcome, error=str(error)))


@dataclass(frozen=True, slots=True)
class _Record:
    """What is known of a call before it ends."""

    caller: Principal
    arguments: dict[str, Any]
    started_at: datetime
    started: float
    clock: Callable[[], float]

    def of(
        self,
        tool: ReleasedTool,
        outcome: ExecutionOutcome,
        *,
        result: str = "",
        error: str = "",
        stdout: str = "",
        tried: tuple[str, ...] = (),
    ) -> Execution:
        version = tool.tool.version
        return Execution(
            id=ExecutionId(uuid4()),
            tool_id=version.tool_id,
            tool_name=tool.name,
            version_number=version.number,
            digest=version.digest,
            caller=self.caller.label,
            origin=Origin.CALL,
            outcome=outcome,
            arguments=self.arguments,
            result=result,
            error=error,
            stdout=stdout,
            undeclared=tried,
            duration_ms=round((self.clock() - self.started) * 1000, 3),
            started_at=self.started_at,
        )


def _mark(tool: ReleasedTool, line: Line) -> None:
    """The span of the call, where there is one, with the way back to its approval."""
    span = get_current_span()
    if not span.is_recording():
        return
    version, origin = tool.tool.version, tool.tool.origin
    span.set_attributes(
        {
            Attribute.TOOL: tool.name,
            Attribute.TOOL_VERSION: version.number,
            Attribute.DIGEST: version.digest,
            Attribute.CALLER: line.principal.label,
        }
    )
    if tool.tool.source is not None:
        span.set_attribute(Attribute.SOURCE, str(tool.tool.source.source_id))
    if origin is not None:
        span.set_attributes(
            {
                Attribute.RELEASE: str(origin.release_id),
                Attribute.REQUEST: str(origin.request_id),
                Attribute.WORKFLOW: origin.workflow_id,
            }
        )


def _structured(text: str, value: Any) -> dict[str, Any] | None:
    if len(text) > REPEATED_MAX_CHARS:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"result": value}


def _undeclared(tool: ReleasedTool, run: RunResult) -> tuple[str, ...]:
    """The rule is only asked where something was refused: what is let out is declared."""
    if all(record.refused is None for record in run.egress):
        return ()
    seen = [Seen(record.method, record.host, record.refused) for record in run.egress]
    return undeclared(tool.tool.version.manifest.hosts, seen)


def _words(answer: CallToolResult) -> str:
    return "\n".join(block.text for block in answer.content if isinstance(block, TextContent))


def _told(error: RunError | None) -> str:
    if error is None:
        return "The tool failed without saying why."
    if error.line is None or f"line {error.line}" in error.message:
        return error.message
    return f"{error.message} (line {error.line})"


def _as_json(value: Any) -> tuple[str, Any]:
    """As text, and as the value that it says: NaN and infinity are null in JSON."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False), value
    except ValueError:
        text = to_json(value, inf_nan_mode="null")
        return text.decode(), from_json(text)
