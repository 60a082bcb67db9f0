"""What reviewers are shown of a version by reading it, in words; nothing of it is run."""

import difflib
from collections.abc import Iterable, Sequence

from activities.words import counted
from mcpbox.domain.base import utc_now
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.manifests import needs_beyond
from mcpbox.domain.probation import Probation, ProbationEnd
from mcpbox.domain.tools import ToolVersion, VersionContent
from mcpbox.domain.upstreams import Upstream
from mcpbox.policies import static
from mcpbox.policies.claims import claim_findings
from mcpbox.policies.compatibility import Compatibility, compatibility_of, schema_changes
from mcpbox.policies.composition import abilities_of, composition_findings, in_words
from mcpbox.policies.probation import what_happened
from mcpbox.policies.static import CodeReading

_ORDER = list(Risk)


def read_version(
    version: ToolVersion,
    released: ToolVersion | None,
    granted_hosts: frozenset[str],
    others: Iterable[VersionContent],
) -> list[Evidence]:
    """Takes a second for hostile code: run it beside the event loop.

    ``others``: released versions of the other tools of its server.
    """
    reading = static.read_version(version)
    return [
        _manifest(version, granted_hosts),
        _static(version, reading),
        _claims(version, reading),
        _schema(version, released),
        _code(version, released),
        _composition(version, reading, others),
    ]


def probation(version: ToolVersion, ended: Sequence[Probation]) -> Evidence:
    """``ended``: not empty, newest first."""
    bad = (ProbationEnd.EGRESS, ProbationEnd.ERRORS)
    findings = [
        Finding(
            level=Risk.HIGH if one.cause in bad else Risk.LOW,
            title="Ended early" if one.cause in bad else "Came to its end",
            text=what_happened(one),
            rule=f"probation-{one.cause}",
        )
        for one in ended
    ]
    newest = ended[0]
    return evidence(
        Check.PROBATION,
        version,
        _status_of(findings),
        what_happened(newest),
        findings,
        {
            "Calls": str(newest.calls),
            "Failed": f"{newest.errors} ({newest.error_rate:.0%})",
            "Undeclared hosts": ", ".join(newest.undeclared) or "none",
        },
    )


def passing_evidence(version: ToolVersion) -> list[Evidence]:
    """Of a version that passes its calls on over the network, instead of a trial."""
    why = "A call of it would be a real one at its source, so none was made."
    return [evidence(check, version, Status.SKIPPED, why) for check in (Check.TRIAL, Check.EGRESS)]


def evidence(
    check: Check,
    version: ToolVersion,
    status: Status,
    summary: str,
    findings: Sequence[Finding] = (),
    facts: dict[str, str] | None = None,
) -> Evidence:
    return Evidence(
        check=check,
        digest=version.digest,
        status=status,
        summary=summary,
        findings=tuple(findings),
        facts=facts or {},
        checked_at=utc_now(),
    )


def _manifest(version: ToolVersion, granted: frozenset[str]) -> Evidence:
    manifest = version.manifest
    needs = needs_beyond(manifest, granted)
    findings = [
        Finding(
            level=Risk.HIGH,
            title="New host",
            text=f"Approving lets the server's tools reach {host}.",
            line=_line_of(version.code, host),
            rule="new-host",
        )
        for host in needs.hosts
    ]
    findings += [
        Finding(
            level=Risk.LOW,
            title="Reads a secret",
            text=f"Reads the secret {name}; where nobody has set it, it fails.",
            line=_line_of(version.code, f'"{name}"') or _line_of(version.code, f"'{name}'"),
            rule="reads-secret",
        )
        for name in manifest.secret_names
    ]
    summary = "Needs no network." if not manifest.hosts else "Needs hosts that are granted."
    if needs:
        summary = f"Asks for {counted(len(needs.hosts), 'new host')}: {', '.join(needs.hosts)}."
    return evidence(
        Check.MANIFEST,
        version,
        _status_of(findings),
        summary,
        findings,
        {
            "Modules": ", ".join(manifest.modules) or "none",
            "Hosts": ", ".join(manifest.hosts) or "none",
            "Secrets": ", ".join(manifest.secret_names) or "none",
        },
    )


def _static(version: ToolVersion, reading: CodeReading) -> Evidence:
    if reading.unread:
        text = f"The code could not be read: {reading.unread}"
        return evidence(Check.STATIC, version, Status.MISSING, text)
    asks = [
        f"{', '.join(methods)} to {host or 'hosts chosen at run time'}"
        for host, methods in reading.methods.items()
    ]
    return evidence(
        Check.STATIC,
        version,
        _status_of(reading.findings),
        _remarks(reading.findings, "Nothing unusual stands in the code."),
        reading.findings,
        {
            "Network": "; ".join(asks) or "none",
            "Secrets": ", ".join(version.manifest.secret_names) or "none",
        },
    )


def _claims(version: ToolVersion, reading: CodeReading) -> Evidence:
    if reading.unread:
        text = "Not compared: the code could not be read."
        return evidence(Check.CLAIMS, version, Status.MISSING, text)
    findings = claim_findings(version, reading)
    hints = version.annotations
    return evidence(
        Check.CLAIMS,
        version,
        _status_of(findings),
        _remarks(findings, "Name, description and hints agree with the code."),
        findings,
        {
            "Reads only": _said(hints.read_only),
            "Destroys": _said(hints.destructive),
            "May be repeated": _said(hints.idempotent),
            "Reaches outside": _said(hints.open_world),
        },
    )


def _schema(version: ToolVersion, released: ToolVersion | None) -> Evidence:
    if released is None:
        text = "First version; there is nothing to break."
        return evidence(Check.SCHEMA_DIFF, version, Status.SKIPPED, text)
    changes = schema_changes(released.input_schema, version.input_schema)
    verdict = compatibility_of(changes)
    breaking = sum(change.breaking for change in changes)
    summary = {
        Compatibility.NONE: "Takes the same arguments as the released version.",
        Compatibility.COMPATIBLE: f"{counted(len(changes), 'change')}; callers of the released "
        "version go on.",
        Compatibility.BREAKING: f"{counted(breaking, 'change')} may break callers of the released "
        "version.",
    }[verdict]
    findings = [
        Finding(
            level=Risk.MEDIUM if change.breaking else Risk.LOW,
            title=change.title,
            text=change.text,
            rule=f"schema-{change.rule}",
        )
        for change in changes
    ]
    status = Status.WARNING if verdict is Compatibility.BREAKING else Status.PASSED
    facts = {"Compatibility": verdict.value}
    return evidence(Check.SCHEMA_DIFF, version, status, summary, findings, facts)


def _code(version: ToolVersion, released: ToolVersion | None) -> Evidence:
    if released is None:
        lines = counted(len(version.code.splitlines()), "line")
        text = f"First version, {lines}, all new."
        if version.passes_to is not None:
            text = f"First version; it passes its calls on to {_target(version.passes_to)}."
        return evidence(Check.CODE_DIFF, version, Status.SKIPPED, text)
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
            ("place that its calls go to", _place(released) != _place(version)),
            ("title or the shape of what it answers", _answers(released) != _answers(version)),
        )
        if differs
    ]
    # What a model reads decides when it calls the tool, so a new text is worth a look.
    findings = [
        Finding(
            level=Risk.MEDIUM,
            title="Changed text",
            text=f"The {word} changed as well.",
            rule="changed-text",
        )
        for word in changed_words
    ]
    return evidence(
        Check.CODE_DIFF,
        version,
        Status.WARNING if findings else Status.PASSED,
        f"{counted(added, 'line')} added, {removed} removed against version {released.number}.",
        findings,
        {"Lines added": str(added), "Lines removed": str(removed)},
    )


def _target(upstream: Upstream) -> str:
    return f"{upstream.endpoint.label}, tool {upstream.tool}"


def _place(version: VersionContent) -> str:
    return "" if version.passes_to is None else _target(version.passes_to)


def _answers(version: VersionContent) -> object:
    upstream = version.passes_to
    return upstream and (upstream.title, upstream.output_schema)


def _composition(
    version: ToolVersion, reading: CodeReading, others: Iterable[VersionContent]
) -> Evidence:
    new = abilities_of(version.name, reading, version.manifest.secret_names)
    beside = [abilities_of(o.name, static.read_version(o), o.manifest.secret_names) for o in others]
    findings = composition_findings(beside, new)
    return evidence(
        Check.COMPOSITION,
        version,
        Status.PASSED,
        findings[0].text if findings else in_words(beside, new),
        findings,
        {tool.tool: tool.in_words for tool in (*beside, new)},
    )


def _status_of(findings: Iterable[Finding]) -> Status:
    """What only informs is no reason to look closer."""
    serious = any(finding.level is not Risk.LOW for finding in findings)
    return Status.WARNING if serious else Status.PASSED


def _remarks(findings: Sequence[Finding], none: str) -> str:
    if not findings:
        return none
    worst = max(findings, key=lambda one: _ORDER.index(one.level))
    where = f" at line {worst.line}" if worst.line else ""
    if len(findings) == 1:
        return f"{worst.title}{where}."
    return f"{counted(len(findings), 'remark')}, the most serious{where}: {worst.title}."


def _said(hint: bool | None) -> str:
    return "not said" if hint is None else "says yes" if hint else "says no"


def _line_of(code: str, text: str) -> int | None:
    lines = enumerate(code.splitlines(), start=1)
    return next((number for number, line in lines if text.lower() in line.lower()), None)
