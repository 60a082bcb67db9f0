"""Writing a tool: check its source, try it before anybody approved it."""

import json
import time
from typing import Any
from uuid import uuid4

from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Invalid, Problem, Unavailable
from mcpbox.domain.executions import (
    ERROR_MAX_CHARS,
    RESULT_MAX_CHARS,
    STDOUT_MAX_CHARS,
    Execution,
    ExecutionOutcome,
    Origin,
)
from mcpbox.domain.extraction import read_source
from mcpbox.domain.ids import ExecutionId, ToolId
from mcpbox.domain.manifests import reachable_hosts
from mcpbox.domain.nesting import ARGUMENTS_MAX_DEPTH, nests_deeper_than
from mcpbox.domain.people import Principal
from mcpbox.domain.sources import SourceReport, Trial
from mcpbox.domain.texts import made_keepable
from mcpbox.domain.tools import ToolDetail
from mcpbox.logs import redacted
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store import executions, tools
from mcpbox.store.grants import granted_hosts
from mcpbox.store.session import Sessions, transaction
from sandbox.contract import Bundle, EgressRecord, RunResult


class Development:
    def __init__(self, sessions: Sessions, sandbox: SandboxClient) -> None:
        self._sessions = sessions
        self._sandbox = sandbox

    async def validate(self, code: str) -> SourceReport:
        """Every finding at once: ours, and the guard's where the sandbox answers."""
        report = read_source(code)
        if not report.has_main and report.problems:
            return report
        try:
            checked = await self._sandbox.check(code)
        except Unavailable:
            return report.model_copy(update={"guard_checked": False})
        found = [
            Problem(line=finding.line, column=finding.column, message=finding.message)
            for finding in checked.findings
        ]
        problems = sorted([*report.problems, *found], key=lambda p: (p.line, p.column))
        return report.model_copy(update={"problems": tuple(problems), "valid": not problems})

    async def trial(self, by: Principal, tool_id: ToolId, arguments: dict[str, Any]) -> Trial:
        """Run the newest version with no secrets and only the hosts its server holds already.

        Raises: NotFound; Invalid: arguments nested too deeply; Unavailable; TooManyAttempts.
        """
        if nests_deeper_than(ARGUMENTS_MAX_DEPTH, arguments):
            raise Invalid(
                f"The arguments are nested deeper than {ARGUMENTS_MAX_DEPTH} levels; make them "
                "flatter. Nothing was run."
            )
        async with transaction(self._sessions) as session:
            tool = await tools.get_tool(session, tool_id)
            granted = await granted_hosts(session, tool.server_id)
        hosts = reachable_hosts(tool.current.manifest, granted)
        started_at, clock = utc_now(), time.perf_counter()
        ran = await self._sandbox.run(
            Bundle(code=tool.current.code, hosts=hosts), arguments, trial=True
        )
        trial = trial_of(ran)
        execution = _trial_execution(by, tool, arguments, trial).model_copy(
            update={
                "started_at": started_at,
                "duration_ms": (time.perf_counter() - clock) * 1000,
            }
        )
        async with transaction(self._sessions) as session:
            await executions.add_executions(session, [execution])
        return trial


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
        return f"{record.method} {record.host}: refused: {record.refused}"
    return f"{record.method} {record.host}: {record.status or 'no answer'}"


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
