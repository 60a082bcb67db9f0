"""One job, from a ready child to its result."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import Base64Bytes, BaseModel, ValidationError

from sandbox.admission import Admission
from sandbox.broker import Session
from sandbox.bundles import Registered
from sandbox.cancelling import Stop
from sandbox.child import Child
from sandbox.compiled import CompiledCode
from sandbox.contract import (
    Bundle,
    CheckFinding,
    CheckRequest,
    ErrorKind,
    IsolationMode,
    RunError,
    RunLimits,
    RunResult,
)
from sandbox.dialogue import Asked
from sandbox.egress import DEFAULT_CAPS, Caps
from sandbox.exchange import Ended, exchange
from sandbox.frames import new_call
from sandbox.job import Job, Limits
from sandbox.launcher import ModulesFailed
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool, Unavailable
from sandbox.pools import Pools
from sandbox.residents import Place, Resident, Residents
from sandbox.secrets import NO_SECRETS, Secrets
from sandbox.verdicts import verdict_on

_CHECK_LIMITS = RunLimits(cpu_s=5, wall_s=10)
_UNREADABLE = "The code cannot be checked: it is nested too deeply, or too costly to parse."


class _Checked(BaseModel):
    findings: tuple[CheckFinding, ...]
    compiled: Base64Bytes = b""


class _Run(NamedTuple):
    """What is asked of :meth:`Runner.run`."""

    registered: Registered
    arguments: dict[str, Any]
    limits: RunLimits
    guarded: bool
    secrets: Secrets
    on_output: Callable[[bytes], None] | None
    stop: Stop | None


class Runner:
    def __init__(
        self,
        pools: Pools,
        connections: ConnectionPools,
        admission: Admission,
        caps: Caps = DEFAULT_CAPS,
        residents: Residents | None = None,
    ) -> None:
        self._residents = residents or Residents()
        self._pools = pools
        self._connections = connections
        self._admission = admission
        self._caps = caps
        self._compiled = CompiledCode()

    async def run(
        self,
        registered: Registered,
        *,
        arguments: dict[str, Any] | None = None,
        limits: RunLimits = RunLimits(),  # noqa: B008  frozen
        guarded: bool = True,
        secrets: Secrets = NO_SECRETS,
        on_output: Callable[[bytes], None] | None = None,
        stop: Stop | None = None,
    ) -> RunResult:
        """``on_output`` is told what is printed as it comes, ``stop`` ends it before its time.

        Raises: Busy, Unavailable. When cancelled, the child is killed.
        """
        run = _Run(registered, arguments or {}, limits, guarded, secrets, on_output, stop)
        bundle = registered.bundle
        speaks = bundle.stdio is not None
        try:
            async with self._admission.turn(bundle.server) as turn:
                pool = await self._pools.pool_for(bundle)
                if missing := _missing(bundle, pool):
                    return RunResult(ok=False, error=missing)
                if bundle.isolation is IsolationMode.RELEASE:
                    told = frozenset(secrets.given.items()) if speaks else None
                    place = Place(registered.owner, limits.memory_bytes, guarded, told)
                    async with self._residents.resident(pool, place, limits.cpu_s) as resident:
                        return await self._served(run, resident.child, resident)
                async with pool.child(speaks=speaks) as child:
                    turn.process_gone = child.exited
                    return await self._served(run, child)
        except ModulesFailed as error:
            return RunResult(ok=False, error=RunError(kind=ErrorKind.CRASHED, message=str(error)))

    async def _served(self, run: _Run, child: Child, resident: Resident | None = None) -> RunResult:
        registered, limits = run.registered, run.limits
        job = Job(
            **self._what_to_run(run, resident),
            limits=_of_child(limits),
            guarded=run.guarded,
            secrets=dict(run.secrets.given),
            call=new_call(),
            resident=resident is not None and resident.watched,
        )
        session = Session(
            child,
            self._connections,
            registered.grants,
            owner=registered.owner,
            wall_s=limits.wall_s,
            secrets=run.secrets,
            caps=self._caps,
        )
        started = time.perf_counter()
        try:
            answer, stdout = await exchange(
                child,
                job,
                limits.wall_s,
                session,
                on_output=run.on_output,
                stop=run.stop,
                asked=_asked(run),
            )
        finally:
            session.close()
        verdict = verdict_on(answer, limits, resident.cpu_before_s if resident else 0.0)
        if resident is not None:
            resident.fit = not verdict.last
        spent_ms = (time.perf_counter() - started) * 1000
        return RunResult(
            ok=verdict.ok,
            result=verdict.result,
            error=verdict.error,
            stdout=stdout,
            duration_ms=round(spent_ms, 3),
            egress=session.records(),
        )

    async def check(self, request: CheckRequest, *, server: str = "") -> tuple[CheckFinding, ...]:
        """In a child, as hostile source may crash the parser.

        ``server``: in whose turn, where a call of it waits for this. Raises: Busy, Unavailable.
        """
        job = Job(
            code=request.code,
            modules=list(request.modules),
            limits=_of_child(_CHECK_LIMITS),
            check_only=True,
            call=new_call(),
        )
        async with self._admission.turn(server) as turn:
            pool = await self._pools.pool_for(Bundle(code="", server=server))
            async with pool.child() as child:
                turn.process_gone = child.exited
                answer, _ = await exchange(child, job, _CHECK_LIMITS.wall_s, None)
        if isinstance(answer, Ended) and answer.was_interrupted:
            raise Unavailable("The check was interrupted; try again.")
        if isinstance(answer, bytes):
            try:
                checked = _Checked.model_validate_json(answer)
            except ValidationError:
                pass
            else:
                if checked.compiled:
                    self._compiled.keep(request.code, checked.compiled)
                return checked.findings
        return (CheckFinding(line=1, column=1, message=_UNREADABLE),)

    async def try_modules(self, bundle: Bundle) -> RunError | None:
        """Why no child of the bundle's modules starts; its code is left alone.

        Raises: Busy, Unavailable, UnknownModuleSet.
        """
        try:
            async with self._admission.turn(bundle.server) as turn:
                pool = await self._pools.pool_for(bundle)
                async with pool.child() as child:
                    turn.process_gone = child.exited
                    return _missing(bundle, pool)
        except ModulesFailed as error:
            return RunError(kind=ErrorKind.CRASHED, message=str(error))

    def close(self) -> None:
        self._residents.close()

    def _what_to_run(self, run: _Run, resident: Resident | None) -> dict[str, Any]:
        bundle = run.registered.bundle
        if bundle.stdio is not None:
            return {"command": [bundle.stdio.module, *bundle.stdio.args]}
        given = {"modules": list(bundle.modules), "arguments": run.arguments}
        if resident is not None and resident.knows_code:
            return given
        compiled = self._compiled.find(bundle.code)
        return given | ({"code": bundle.code} if compiled is None else {"compiled": compiled})


def _missing(bundle: Bundle, pool: Pool) -> RunError | None:
    """Of a server that speaks over stdio; a tool is told by its import."""
    if bundle.stdio is None or bundle.stdio.module.partition(".")[0] in pool.modules:
        return None
    message = f"Module {bundle.stdio.module!r} is not among the modules of this server."
    return RunError(kind=ErrorKind.REJECTED, message=message)


def _asked(run: _Run) -> Asked | None:
    stdio = run.registered.bundle.stdio
    return None if stdio is None else Asked(stdio.tool, run.arguments, run.limits.result_bytes)


def _of_child(limits: RunLimits) -> Limits:
    return Limits(
        memory_bytes=limits.memory_bytes,
        cpu_s=limits.cpu_s,
        stdout_bytes=limits.stdout_bytes,
        result_bytes=limits.result_bytes,
    )
