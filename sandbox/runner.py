"""One job, from a ready child to its result; nothing a child says is believed unchecked."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox.admission import Admission
from sandbox.broker import Session
from sandbox.bundles import Registered
from sandbox.child import Child
from sandbox.contract import (
    Bundle,
    CheckFinding,
    CheckRequest,
    ErrorKind,
    RunError,
    RunLimits,
    RunResult,
)
from sandbox.control import Exited
from sandbox.frames import Frame, Kind
from sandbox.pinned import ConnectionPools
from sandbox.pool import Unavailable
from sandbox.pools import Pools
from sandbox.runtime import Job, Limits

MAX_DEPTH = 100
_CHECK_LIMITS = RunLimits(cpu_s=5, wall_s=10)
_REPORT_OVERHEAD_BYTES = 65536
"""What a report may have beyond its result: an error with its message."""
_EXIT_WAIT_S = 1.0
_STDOUT_NOTE_BYTES = 100
_UNREADABLE = "The code cannot be checked: it is nested too deeply, or too costly to parse."


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ok: bool
    result: Any = None
    error: RunError | None = None


class _Findings(BaseModel):
    findings: tuple[CheckFinding, ...]


class Runner:
    def __init__(self, pools: Pools, connections: ConnectionPools, admission: Admission) -> None:
        self._pools = pools
        self._connections = connections
        self._admission = admission

    async def run(
        self,
        registered: Registered,
        *,
        arguments: dict[str, Any] | None = None,
        limits: RunLimits = RunLimits(),  # noqa: B008  frozen
        guarded: bool = True,
    ) -> RunResult:
        """Raises: Busy, Unavailable. When cancelled, the child is killed."""
        bundle = registered.bundle
        job = Job(
            code=bundle.code,
            modules=list(bundle.modules),
            arguments=arguments or {},
            limits=_of_child(limits),
            guarded=guarded,
        )
        async with self._child(bundle) as child:
            session = Session(
                child,
                self._connections,
                registered.grants,
                owner=registered.key,
                wall_s=limits.wall_s,
            )
            started = time.perf_counter()
            try:
                answer, stdout = await _exchange(child, job, limits.wall_s, session)
            finally:
                session.close()
            verdict = _verdict(answer, limits)
            spent_ms = (time.perf_counter() - started) * 1000
            return RunResult(
                **verdict._asdict(),
                stdout=stdout,
                duration_ms=round(spent_ms, 3),
                egress=session.records(),
            )

    async def check(self, request: CheckRequest) -> tuple[CheckFinding, ...]:
        """In a child, as hostile source may crash the parser. Raises: Busy, Unavailable."""
        job = Job(
            code=request.code,
            modules=list(request.modules),
            limits=_of_child(_CHECK_LIMITS),
            check_only=True,
        )
        async with self._child(Bundle(code="")) as child:
            answer, _ = await _exchange(child, job, _CHECK_LIMITS.wall_s, None)
        if isinstance(answer, _Ended) and answer.was_interrupted:
            raise Unavailable("The check was interrupted; try again.")
        if isinstance(answer, bytes):
            try:
                return _Findings.model_validate_json(answer).findings
            except ValidationError:
                pass
        return (CheckFinding(line=1, column=1, message=_UNREADABLE),)

    @asynccontextmanager
    async def _child(self, bundle: Bundle) -> AsyncGenerator[Child]:
        async with self._admission.turn():
            pool = await self._pools.pool_for(bundle)
            async with pool.child() as child:
                yield child


class _TimedOut:
    """The wall limit struck."""


class _Ended:
    """The child closed its connection, ``how`` its process ended."""

    def __init__(self, how: Exited | None) -> None:
        self.how = how

    @property
    def was_interrupted(self) -> bool:
        """By somebody else: code that only is parsed does not come to this."""
        return self.how is None or (
            os.WIFSIGNALED(self.how.status) and os.WTERMSIG(self.how.status) == signal.SIGKILL
        )


async def _exchange(
    child: Child, job: Job, wall_s: float, session: Session | None
) -> tuple[bytes | _TimedOut | _Ended, str]:
    """The child's report, or why there is none; and what was printed."""
    report: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    printed = bytearray()
    max_report = job.limits.result_bytes + _REPORT_OVERHEAD_BYTES
    max_printed = job.limits.stdout_bytes + _STDOUT_NOTE_BYTES

    def take(frame: Frame) -> None:
        if frame.kind == Kind.RESULT and len(frame.payload) <= max_report:
            if not report.done():
                report.set_result(frame.payload)
        elif frame.kind == Kind.OUTPUT:
            printed.extend(frame.payload[: max_printed - len(printed)])
        elif session is not None and frame.kind in {Kind.REQUEST, Kind.CANCEL}:
            session.take(frame)
        else:
            child.kill()

    child.listen(take)
    child.send(Kind.JOB, 0, job.to_json())
    try:
        first = (report, child.hung_up)
        await asyncio.wait(first, timeout=wall_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        child.listen(None)
    stdout = printed.decode(errors="ignore")
    if report.done():
        return report.result(), stdout
    child.kill()  # it runs too long; or it closed its connection, and may live on
    if not child.hung_up.done():
        return _TimedOut(), stdout
    await asyncio.wait((child.exited,), timeout=_EXIT_WAIT_S)
    return _Ended(child.exited.result() if child.exited.done() else None), stdout


class _Verdict(NamedTuple):
    ok: bool
    result: Any = None
    error: RunError | None = None


def _verdict(answer: bytes | _TimedOut | _Ended, limits: RunLimits) -> _Verdict:
    match answer:
        case _TimedOut():
            message = f"The tool ran longer than {limits.wall_s:g} s and was stopped."
            return _failed(ErrorKind.WALL, message)
        case _Ended():
            return _crashed(answer.how, limits)
        case bytes():
            return _checked(answer)


def _checked(raw: bytes) -> _Verdict:
    try:
        text = raw.decode()
        given: object = json.loads(text, parse_constant=lambda _: None)  # NaN, infinities: null
        if "\\ud" in text.lower():  # a lone surrogate cannot be sent on
            json.dumps(given, ensure_ascii=False).encode()
        report = _Report.model_validate(given)
    except (ValueError, RecursionError):
        return _failed(ErrorKind.BAD_RESULT, "The result is not JSON that can be sent on.")
    if _depth_exceeds(report.result, MAX_DEPTH):
        message = f"The result is nested deeper than {MAX_DEPTH} levels."
        return _failed(ErrorKind.BAD_RESULT, message)
    if report.ok:
        return _Verdict(ok=True, result=report.result)
    return _Verdict(ok=False, error=report.error or _error(ErrorKind.CRASHED, "No reason given."))


def _crashed(how: Exited | None, limits: RunLimits) -> _Verdict:
    if how is None:
        return _failed(ErrorKind.CRASHED, "The tool's process was lost; try again.")
    if not os.WIFSIGNALED(how.status):
        return _failed(ErrorKind.CRASHED, "The tool ended its process without a result.")
    number = os.WTERMSIG(how.status)
    if number == signal.SIGXCPU or (number == signal.SIGKILL and how.cpu_s >= limits.cpu_s):
        message = f"The tool used more than {limits.cpu_s} s of CPU time and was stopped."
        return _failed(ErrorKind.CPU, message)
    if number == signal.SIGSYS:
        return _failed(ErrorKind.CRASHED, "The tool made a forbidden system call and was killed.")
    name = signal.Signals(number).name
    return _failed(ErrorKind.CRASHED, f"The tool's process was killed ({name}).")


def _depth_exceeds(value: object, limit: int) -> bool:
    level: list[object] = [value]
    for _ in range(limit + 1):
        below: list[object] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(cast("dict[str, object]", one).values())
            elif isinstance(one, list):
                below.extend(cast("list[object]", one))
        if not below:
            return False
        level = below
    return True


def _of_child(limits: RunLimits) -> Limits:
    return Limits(
        memory_bytes=limits.memory_bytes,
        cpu_s=limits.cpu_s,
        stdout_bytes=limits.stdout_bytes,
        result_bytes=limits.result_bytes,
    )


def _failed(kind: ErrorKind, message: str) -> _Verdict:
    return _Verdict(ok=False, error=_error(kind, message))


def _error(kind: ErrorKind, message: str) -> RunError:
    return RunError(kind=kind, message=message)
