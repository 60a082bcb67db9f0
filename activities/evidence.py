"""The checks behind a request; each writes what it found, bound to the digest it looked at."""

import asyncio
import time
from contextlib import suppress
from typing import Any, NamedTuple

from temporalio import activity

from activities import trial_evidence
from activities.errors import final_domain_errors
from activities.heartbeats import heartbeating
from activities.source_evidence import evidence as evidence_for
from activities.source_evidence import passing_evidence, probation, read_version
from activities.subjects import publication
from activities.trial_evidence import AUTHOR, RECORDED, SYSTEM, Ran
from activities.words import counted
from mcpbox.domain.errors import Refused, Unavailable
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.inputs import inputs_from
from mcpbox.domain.manifests import Granted, needs_beyond
from mcpbox.domain.subjects import requirements_in
from mcpbox.domain.tools import ToolVersion
from mcpbox.policies import static
from mcpbox.policies.egress import host_uses
from mcpbox.sandbox_client import SandboxClient
from mcpbox.settings import Settings
from mcpbox.store import evidence, executions, probations, tools
from mcpbox.store.grants import granted
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.usecases.bundles import bundle_of, granted_modules
from mcpbox.usecases.development import require_no_quarantine
from sandbox.contract import Bundle, RunLimits, RunResult
from workflows.contracts import EvidenceActivities, Examination

_MADE_INPUTS = 3
_SHORT = RunLimits(wall_s=5, cpu_s=5)
"""Of runs that nobody but us asked for."""
_LOOK_AGAIN_S = 0.5
_REPLAY_S = 30.0
"""For all replayed calls of a request together."""


class Replay(NamedTuple):
    """How recorded calls are run again on a new version; by default not at all."""

    calls: int = 0
    """The newest ones, at most so many."""
    reads: bool = False
    """GET to granted hosts is let out; else the network is off."""

    @staticmethod
    def of(settings: Settings) -> "Replay":
        return Replay(settings.replay_calls, settings.replay_reads)


class GatheredEvidence(EvidenceActivities):
    def __init__(
        self, sessions: Sessions, sandbox: SandboxClient, replay: Replay | None = None
    ) -> None:
        self._sessions = sessions
        self._sandbox = sandbox
        self._replay = replay or Replay()

    @activity.defn
    async def examine_source(self, given: Examination) -> None:
        subject = publication(given)
        with final_domain_errors():
            async with reading(self._sessions) as session:
                version = await tools.get_version(session, subject.version_id)
                tool = await tools.get_tool(session, subject.tool_id)
                held = await granted(session, subject.server_id)
                others = await tools.released_beside(session, subject.server_id, subject.tool_id)
                ended = await probations.ended_of_version(session, subject.version_id)
            found = await asyncio.to_thread(
                read_version, version, tool.released, held.hosts, others
            )
            if ended:
                found.insert(0, probation(version, ended))
            await self._keep(given, found)
            brought = {one.module for one in requirements_in(given.subject)}
            held = held.model_copy(update={"modules": held.modules | brought})
            await self._keep(given, [await self._guard(version, held)])

    async def _guard(self, version: ToolVersion, held: Granted) -> Evidence:
        if version.passes_to is not None:
            text = "It has no code: it passes its calls on."
            return evidence_for(Check.GUARD, version, Status.SKIPPED, text)
        importable = granted_modules(version.manifest, held)
        checked = await self._sandbox.check(version.code, importable)
        findings = tuple(
            Finding(
                level=Risk.CRITICAL, title="Refused", text=f.message, line=f.line, column=f.column
            )
            for f in checked.findings
        )
        return evidence_for(
            Check.GUARD,
            version,
            Status.FAILED if findings else Status.PASSED,
            f"The sandbox refuses this code at {counted(len(findings), 'place')}: "
            f"line {findings[0].line}: {findings[0].text}"
            if findings
            else "The sandbox's rules let the code pass.",
            findings,
        )

    @activity.defn
    async def try_out(self, given: Examination) -> None:
        with final_domain_errors():
            try:
                await self._try_out(given)
            except Refused as refusal:
                await self._not_run(given, str(refusal))

    async def _try_out(self, given: Examination) -> None:
        """Raises: Refused: quarantined, before it or between two runs."""
        subject = publication(given)
        async with reading(self._sessions) as session:
            version = await tools.get_version(session, subject.version_id)
            tool = await tools.get_tool(session, subject.tool_id)
            sample = await tools.find_sample(session, version.id)
            held = await granted(session, subject.server_id)
        if not version.in_sandbox:
            await self._keep(given, passing_evidence(version))
            return
        if brought := requirements_in(given.subject):
            names = ", ".join(one.module for one in brought)
            await self._not_run(
                given, f"It imports {names}, which is only asked for, so it could not be run yet."
            )
            return
        # Hosts that are only asked for are not reached before people agreed.
        bundle = bundle_of(version, subject.server_id, held)
        async with heartbeating():
            ran = await self._run_all(version, bundle, sample)
            seen = trial_evidence.seen_in(ran)
            understood = await asyncio.to_thread(static.read_version, version)
            declared = frozenset(version.manifest.hosts)
            usable = declared.difference(needs_beyond(version.manifest, held.hosts).hosts)
            uses = host_uses(declared, understood.methods, usable, seen)
            tried = trial_evidence.trial(version, ran, seen)
            await self._keep(given, [tried, trial_evidence.egress(version, uses, len(ran))])
            if self._replay.calls and tool.released is not None:
                await self._compare(given, version, tool.released, held)

    async def _not_run(self, given: Examination, why: str) -> None:
        async with reading(self._sessions) as session:
            version = await tools.get_version(session, publication(given).version_id)
        await self._keep(given, [evidence_for(Check.TRIAL, version, Status.MISSING, why)])

    async def _run_all(
        self, version: ToolVersion, bundle: Bundle, sample: dict[str, Any] | None
    ) -> list[Ran]:
        ran: list[Ran] = []
        if sample is not None or not version.input_schema.get("required"):
            own = sample or {}
            ran.append(Ran(AUTHOR, own, await self._run(version, bundle, own)))
        harmless = _reading_only(bundle)
        for arguments in inputs_from(version.input_schema, _MADE_INPUTS):
            if all(arguments != one.arguments for one in ran):
                result = await self._run(version, harmless, arguments, limits=_SHORT)
                ran.append(Ran(SYSTEM, arguments, result))
        return ran

    async def _run(
        self,
        version: ToolVersion,
        bundle: Bundle,
        arguments: dict[str, Any],
        *,
        limits: RunLimits | None = None,
    ) -> RunResult:
        """Raises: Refused: quarantined since the last one, or while it ran (I9)."""
        await self._require_no_quarantine(version)
        running = asyncio.ensure_future(
            self._sandbox.run(
                bundle,
                arguments,
                limits=limits,
                trial=True,
                secret_names=version.manifest.secret_names,
            )
        )
        watching = asyncio.ensure_future(self._watch_for_quarantine(version))
        try:
            await asyncio.wait((running, watching), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await watching
            return trial_evidence.as_of_a_tool(await running, bundle)
        finally:
            # The sandbox ends a run that nobody waits for any more.
            running.cancel()
            watching.cancel()

    async def _watch_for_quarantine(self, version: ToolVersion) -> None:
        """Raises: Refused: it is."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            with suppress(Unavailable):
                await self._require_no_quarantine(version)

    async def _require_no_quarantine(self, version: ToolVersion) -> None:
        async with reading(self._sessions) as session:
            await require_no_quarantine(session, await tools.get_tool(session, version.tool_id))

    async def _compare(
        self, given: Examination, version: ToolVersion, released: ToolVersion, held: Granted
    ) -> None:
        """The last recorded calls, on both versions; nothing else than reading is let out."""
        unfinished = evidence_for(
            Check.BEHAVIOUR, version, Status.MISSING, "Replaying recorded calls did not end."
        )
        await self._keep(given, [unfinished])
        async with reading(self._sessions) as session:
            calls = await executions.recorded_calls(session, released, self._replay.calls)
        before, after = (
            self._replayable(bundle_of(one, publication(given).server_id, held))
            for one in (released, version)
        )
        deadline = time.monotonic() + _REPLAY_S
        pairs: list[tuple[Ran, Ran]] = []
        for arguments in calls:
            if time.monotonic() > deadline:
                break
            old = await self._run(released, before, arguments, limits=_SHORT)
            new = await self._run(version, after, arguments, limits=_SHORT)
            pairs.append((Ran(RECORDED, arguments, old), Ran(RECORDED, arguments, new)))
        network = "GET to granted hosts" if self._replay.reads else "off"
        compared = trial_evidence.behaviour(
            version, released, pairs, recorded=len(calls), network=network
        )
        await self._keep(given, [compared])

    def _replayable(self, bundle: Bundle) -> Bundle:
        if self._replay.reads:
            return _reading_only(bundle)
        return bundle.model_copy(update={"hosts": ()})

    async def _keep(self, given: Examination, found: list[Evidence]) -> None:
        async with transaction(self._sessions) as session:
            for piece in found:
                await evidence.keep(session, given.request_id, piece)


def _reading_only(bundle: Bundle) -> Bundle:
    """Arguments that its author did not choose must change nothing elsewhere."""
    places = [host.rpartition(" ")[::2] for host in bundle.hosts]
    only_get = (f"GET {place}" for methods, place in places if _lets_read(methods))
    return bundle.model_copy(update={"hosts": tuple(only_get)})


def _lets_read(methods: str) -> bool:
    """``GET,POST``; empty: every method."""
    return not methods or "GET" in methods.split(",")
