"""Writing a tool: check its source, try it before anybody approved it."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Invalid, NotFound, Problem, Refused, Unavailable
from mcpbox.domain.executions import (
    ERROR_MAX_CHARS,
    RESULT_MAX_CHARS,
    STDOUT_MAX_CHARS,
    Execution,
    ExecutionOutcome,
    Origin,
)
from mcpbox.domain.extraction import read_source
from mcpbox.domain.ids import ExecutionId, ServerId, ToolId
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.narrowing import Standing
from mcpbox.domain.nesting import ARGUMENTS_MAX_DEPTH, nests_deeper_than
from mcpbox.domain.people import Principal
from mcpbox.domain.sources import SourceReport, Trial
from mcpbox.domain.texts import made_keepable
from mcpbox.domain.tools import ToolDetail, ToolSummary
from mcpbox.logs import redacted
from mcpbox.policies.narrowing import may_run_drafts
from mcpbox.policies.static import read_code
from mcpbox.sandbox_client import OnOutput, SandboxClient
from mcpbox.store import executions, servers, tools
from mcpbox.store.grants import granted
from mcpbox.store.review_policies import security_settings
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.usecases.bundles import bundle_of, granted_modules
from mcpbox.usecases.outputs import RedactedOutput, cut_from, redactor_for
from sandbox.contract import EgressRecord, RunResult


@dataclass(slots=True, eq=False)
class _Flight:
    """A trial that has not ended yet."""

    tool_id: ToolId
    scope: anyio.CancelScope
    refusal: Refused | None = None


class Development:
    def __init__(self, sessions: Sessions, sandbox: SandboxClient) -> None:
        self._sessions = sessions
        self._sandbox = sandbox
        self._flights: set[_Flight] = set()

    async def validate(self, code: str, server_id: ServerId | None = None) -> SourceReport:
        """Every finding at once: ours, and the guard's where the sandbox answers.

        With the modules of a server, where one is named. Raises: NotFound.
        """
        report = read_source(code)
        if not report.readable:
            return report
        reading = await asyncio.to_thread(read_code, code)
        report = report.model_copy(update={"findings": reading.findings})
        try:
            modules = await self._modules(server_id, report.manifest)
            checked = await self._sandbox.check(code, modules)
        except Unavailable:
            return report.model_copy(update={"guard_checked": False})
        found = [
            Problem(line=finding.line, column=finding.column, message=finding.message)
            for finding in checked.findings
        ]
        problems = sorted([*report.problems, *found], key=lambda p: (p.line, p.column))
        return report.model_copy(update={"problems": tuple(problems), "valid": not problems})

    async def _modules(self, server_id: ServerId | None, manifest: Manifest) -> tuple[str, ...]:
        if server_id is None:
            return ()
        async with reading(self._sessions) as session:
            await servers.require_server(session, server_id)
            held = await granted(session, server_id)
        return granted_modules(manifest, held)

    async def trial(
        self,
        by: Principal,
        tool_id: ToolId,
        arguments: dict[str, Any],
        on_output: OnOutput | None = None,
    ) -> Trial:
        """Run the newest version with no secrets and only what its server holds already.

        Raises: NotFound; Invalid: arguments nested too deeply; Refused: quarantined; Unavailable;
            TooManyAttempts.
        """
        if nests_deeper_than(ARGUMENTS_MAX_DEPTH, arguments):
            raise Invalid(
                f"The arguments are nested deeper than {ARGUMENTS_MAX_DEPTH} levels; make them "
                "flatter. Nothing was run."
            )
        flight = _Flight(tool_id, anyio.CancelScope())
        # Before the look at what is quarantined, so that no quarantine falls between the two.
        self._flights.add(flight)
        try:
            async with reading(self._sessions) as session:
                tool = await tools.get_tool(session, tool_id)
                await require_no_quarantine(session, tool)
                held = await granted(session, tool.server_id)
                redactor = redactor_for(await security_settings(session))
            if redactor is not None and on_output is not None:
                on_output = RedactedOutput(redactor, on_output)
            started_at, clock = utc_now(), time.perf_counter()
            ran: RunResult | None = None
            with flight.scope:
                ran = await self._sandbox.run(
                    bundle_of(tool.current, tool.server_id, held),
                    arguments,
                    trial=True,
                    on_output=on_output,
                )
        finally:
            self._flights.discard(flight)
        if ran is None:
            raise flight.refusal or Refused("The run was stopped.")
        if isinstance(on_output, RedactedOutput):
            await on_output.flush()
        trial = trial_of(ran if redactor is None else cut_from(redactor, ran))
        execution = _trial_execution(by, tool, arguments, trial).model_copy(
            update={
                "started_at": started_at,
                "duration_ms": (time.perf_counter() - clock) * 1000,
            }
        )
        async with transaction(self._sessions) as session:
            await executions.add_executions(session, [execution])
        return trial

    async def end_quarantined(self) -> None:
        """Trials in flight of what has been quarantined since they began (I9)."""
        for flight in tuple(self._flights):
            try:
                async with reading(self._sessions) as session:
                    await require_no_quarantine(
                        session, await tools.get_tool(session, flight.tool_id)
                    )
            except (Refused, NotFound) as error:
                flight.refusal = Refused(f"The run was stopped. {error}")
                flight.scope.cancel()


async def require_no_quarantine(session: AsyncSession, tool: ToolSummary) -> None:
    """Raises: Refused."""
    server = await servers.get_server(session, tool.server_id)
    may_run_drafts(
        Standing(noun=f"server {server.name!r}", quarantine=server.quarantine),
        Standing(noun=f"tool {tool.name!r}", quarantine=tool.quarantine),
    ).require()


def trial_of(ran: RunResult) -> Trial:
    return Trial(
        outcome=ExecutionOutcome.OK if ran.ok else ExecutionOutcome.ERROR,
        result=ran.result,
        error=error_text(ran),
        stdout=ran.stdout,
        duration_ms=ran.duration_ms,
        egress=tuple(_egress_line(record) for record in ran.egress),
    )


def error_text(ran: RunResult) -> str:
    if ran.error is None:
        return ""
    place = f"line {ran.error.line}: " if ran.error.line else ""
    return f"{place}{ran.error.message}"


def _egress_line(record: EgressRecord) -> str:
    if record.refused is not None:
        place = f"{record.method} {record.host}: refused: " if record.method else ""
        return f"{place}{record.refused}"
    said = record.status or "no answer"
    spent = f"{record.sent_bytes} B sent, {record.received_bytes} B received"
    return f"{record.method} {record.host}: {said}, {spent}, {record.duration_ms:.0f} ms"


def _trial_execution(
    by: Principal, tool: ToolDetail, arguments: dict[str, Any], trial: Trial
) -> Execution:
    return Execution(
        id=ExecutionId(uuid4()),
        tool_id=tool.id,
        tool_name=tool.callable_name,
        version_number=tool.current.number,
        digest=tool.current.digest,
        caller=by.label,
        origin=Origin.TRIAL,
        outcome=trial.outcome,
        arguments=redacted(arguments),
        result=json.dumps(trial.result)[:RESULT_MAX_CHARS],
        error=made_keepable(trial.error)[:ERROR_MAX_CHARS],
        stdout=made_keepable(trial.stdout)[:STDOUT_MAX_CHARS],
        duration_ms=trial.duration_ms,
        started_at=utc_now(),
    )
