"""The checks behind a request; each writes what it found, bound to the digest it looked at."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from temporalio import activity

from activities.errors import final_domain_errors
from activities.heartbeats import heartbeating
from activities.subjects import publication
from activities.words import counted
from mcpbox.domain.base import utc_now
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.manifests import needs_beyond
from mcpbox.domain.requests import requirements_in
from mcpbox.domain.sources import Trial
from mcpbox.domain.tools import ToolVersion
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store import evidence, tools
from mcpbox.store.grants import granted
from mcpbox.store.session import Sessions, transaction
from mcpbox.usecases.bundles import bundle_of, granted_modules
from mcpbox.usecases.development import trial_of
from workflows.contracts import EvidenceActivities, Examination

_SHOWN = 300


class GatheredEvidence(EvidenceActivities):
    def __init__(self, sessions: Sessions, sandbox: SandboxClient) -> None:
        self._sessions = sessions
        self._sandbox = sandbox

    @activity.defn
    async def examine_source(self, given: Examination) -> None:
        subject = publication(given)
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                version = await tools.get_version(session, subject.version_id)
                tool = await tools.get_tool(session, subject.tool_id)
                held = await granted(session, subject.server_id)
            found = [
                _manifest_evidence(version, held.hosts),
                _schema_evidence(version, tool.released),
                _code_evidence(version, tool.released),
            ]
            await self._keep(given, found)
            brought = {one.module for one in requirements_in(given.subject)}
            held = held.model_copy(update={"modules": held.modules | brought})
            importable = granted_modules(version.manifest, held)
            checked = await self._sandbox.check(version.code, importable)
            findings = tuple(
                Finding(level=Risk.CRITICAL, title="Refused", text=f.message, line=f.line)
                for f in checked.findings
            )
            guard = _evidence(
                Check.GUARD,
                version,
                Status.FAILED if findings else Status.PASSED,
                f"The sandbox refuses this code at {counted(len(findings), 'place')}: "
                f"line {findings[0].line}: {findings[0].text}"
                if findings
                else "The sandbox's rules let the code pass.",
                findings=findings,
            )
            await self._keep(given, [guard])

    @activity.defn
    async def try_out(self, given: Examination) -> None:
        subject = publication(given)
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                version = await tools.get_version(session, subject.version_id)
                sample = await tools.find_sample(session, version.id)
                held = await granted(session, subject.server_id)
            if brought := requirements_in(given.subject):
                names = ", ".join(one.module for one in brought)
                missing = _evidence(
                    Check.TRIAL,
                    version,
                    Status.MISSING,
                    f"It imports {names}, which is only asked for, so it could not be run yet.",
                )
                await self._keep(given, [missing])
                return
            if sample is None and version.input_schema.get("required"):
                skipped = _evidence(
                    Check.TRIAL,
                    version,
                    Status.SKIPPED,
                    "The author gave no sample arguments, and the tool needs some.",
                )
                await self._keep(given, [skipped])
                return
            # Hosts that are only asked for are not reached before people agreed.
            bundle = bundle_of(version, subject.server_id, held)
            async with heartbeating():
                ran = await self._sandbox.run(bundle, sample or {}, trial=True)
            await self._keep(given, [_trial_evidence(version, sample or {}, trial_of(ran))])

    async def _keep(self, given: Examination, found: list[Evidence]) -> None:
        async with transaction(self._sessions) as session:
            for piece in found:
                await evidence.keep(session, given.request_id, piece)


def _manifest_evidence(version: ToolVersion, granted: frozenset[str]) -> Evidence:
    manifest = version.manifest
    needs = needs_beyond(manifest, granted)
    findings = tuple(
        Finding(
            level=Risk.HIGH,
            title="New host",
            text=f"Approving lets the server's tools reach {host}.",
            line=_line_of(version.code, host),
        )
        for host in needs.hosts
    )
    findings += tuple(
        Finding(
            level=Risk.MEDIUM,
            title="Unknown secret",
            text=f"Reads the secret {name}, which no server can hold yet: it will fail there.",
            line=_line_of(version.code, name),
        )
        for name in manifest.secret_names
    )
    summary = "Needs no network." if not manifest.hosts else "Needs hosts that are granted."
    if needs:
        summary = f"Asks for {counted(len(needs.hosts), 'new host')}: {', '.join(needs.hosts)}."
    return _evidence(
        Check.MANIFEST,
        version,
        Status.WARNING if findings else Status.PASSED,
        summary,
        findings=findings,
        facts={
            "Modules": ", ".join(manifest.modules) or "none",
            "Hosts": ", ".join(manifest.hosts) or "none",
            "Secrets": ", ".join(manifest.secret_names) or "none",
        },
    )


def _schema_evidence(version: ToolVersion, released: ToolVersion | None) -> Evidence:
    if released is None:
        return _evidence(
            Check.SCHEMA_DIFF, version, Status.SKIPPED, "First version; there is nothing to break."
        )
    changes = list(_schema_changes(released.input_schema, version.input_schema))
    breaking = tuple(change for change in changes if change.level is not Risk.LOW)
    if not changes:
        summary = "Takes the same arguments as the released version."
    elif breaking:
        summary = f"{counted(len(breaking), 'change')} may break callers of the released version."
    else:
        summary = f"{counted(len(changes), 'change')}; callers of the released version go on."
    return _evidence(
        Check.SCHEMA_DIFF,
        version,
        Status.WARNING if breaking else Status.PASSED,
        summary,
        findings=tuple(changes),
    )


def _schema_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Finding]:
    before, after = old.get("properties", {}), new.get("properties", {})
    required_before, required = set(old.get("required", ())), set(new.get("required", ()))
    found = [
        Finding(level=Risk.MEDIUM, title="Removed", text=f"The argument {name!r} is gone.")
        for name in sorted(before.keys() - after.keys())
    ]
    found += [
        Finding(level=Risk.MEDIUM, title="Required", text=f"{name!r} must now be given.")
        for name in sorted(required - required_before)
    ]
    found += [
        Finding(
            level=Risk.MEDIUM,
            title="Changed",
            text=f"{name!r}: {json.dumps(before[name])} became {json.dumps(after[name])}.",
        )
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]
    found += [
        Finding(level=Risk.LOW, title="Added", text=f"The optional argument {name!r} is new.")
        for name in sorted(after.keys() - before.keys() - required)
    ]
    return found


def _code_evidence(version: ToolVersion, released: ToolVersion | None) -> Evidence:
    if released is None:
        lines = len(version.code.splitlines())
        return _evidence(
            Check.CODE_DIFF,
            version,
            Status.SKIPPED,
            f"First version, {counted(lines, 'line')}, all new.",
        )
    diff = list(
        difflib.unified_diff(
            released.code.splitlines(), version.code.splitlines(), lineterm="", n=0
        )
    )[2:]
    added = sum(line.startswith("+") for line in diff)
    removed = sum(line.startswith("-") for line in diff)
    changed_words = [
        word
        for word, differs in (
            ("name", released.name != version.name),
            ("description", released.description != version.description),
            ("annotations", released.annotations != version.annotations),
        )
        if differs
    ]
    # What a model reads decides when it calls the tool, so a new text is worth a look.
    findings = tuple(
        Finding(level=Risk.MEDIUM, title="Changed text", text=f"The {word} changed as well.")
        for word in changed_words
    )
    return _evidence(
        Check.CODE_DIFF,
        version,
        Status.WARNING if findings else Status.PASSED,
        f"{counted(added, 'line')} added, {removed} removed against version {released.number}.",
        findings=findings,
        facts={"Lines added": str(added), "Lines removed": str(removed)},
    )


def _trial_evidence(version: ToolVersion, sample: Mapping[str, Any], trial: Trial) -> Evidence:
    failed = bool(trial.error)
    refused = [line for line in trial.egress if "refused" in line]
    findings = tuple(
        Finding(level=Risk.MEDIUM, title="Tried to reach", text=line) for line in refused
    )
    facts = {"Sample": json.dumps(sample)[:_SHOWN], "Duration": f"{trial.duration_ms:.1f} ms"}
    if failed:
        facts["Error"] = trial.error[:_SHOWN]
    else:
        facts["Result"] = json.dumps(trial.result)[:_SHOWN]
    if trial.stdout:
        facts["Output"] = trial.stdout[:_SHOWN]
    return _evidence(
        Check.TRIAL,
        version,
        Status.WARNING if failed or refused else Status.PASSED,
        "The trial run failed." if failed else "Ran in the sandbox and answered.",
        findings=findings,
        facts=facts,
    )


def _evidence(
    check: Check,
    version: ToolVersion,
    status: Status,
    summary: str,
    *,
    findings: tuple[Finding, ...] = (),
    facts: dict[str, str] | None = None,
) -> Evidence:
    return Evidence(
        check=check,
        digest=version.digest,
        status=status,
        summary=summary,
        findings=findings,
        facts=facts or {},
        checked_at=utc_now(),
    )


def _line_of(code: str, text: str) -> int | None:
    lines = enumerate(code.splitlines(), start=1)
    return next((number for number, line in lines if text.lower() in line.lower()), None)
