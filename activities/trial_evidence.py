"""What reviewers are shown of a version that was run: its answers, and what it reached."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

from activities.source_evidence import evidence
from activities.words import counted
from mcpbox.domain.evidence import Check, Evidence, Finding, HostUse, Risk, Status, TrialRun
from mcpbox.domain.tools import ToolVersion
from mcpbox.policies.egress import Seen, egress_findings
from mcpbox.usecases.development import error_text
from sandbox.contract import Bundle, ErrorKind, RunError, RunResult

AUTHOR, SYSTEM, RECORDED = "author", "system", "recorded"
_SHOWN = 300


class Ran(NamedTuple):
    made_by: str
    arguments: dict[str, Any]
    result: RunResult


def as_of_a_tool(result: RunResult, bundle: Bundle) -> RunResult:
    """A server over stdio says inside its answer that a tool of it failed."""
    answer = cast("dict[str, Any]", result.result or {}) if bundle.stdio is not None else {}
    if not answer.get("isError"):
        return result
    blocks = cast("list[dict[str, Any]]", answer["content"])
    told = "\n".join(str(block["text"]) for block in blocks if "text" in block)
    error = RunError(kind=ErrorKind.RAISED, message=told or "The tool failed without saying why.")
    return result.model_copy(update={"ok": False, "result": None, "error": error})


def seen_in(ran: Iterable[Ran]) -> list[Seen]:
    """Refusals that only our own narrower terms caused are no finding about the code."""
    return [
        Seen(record.method, record.host, record.refused)
        for one in ran
        for record in one.result.egress
        if one.made_by == AUTHOR or record.refused is None or record.method == "GET"
    ]


def trial(version: ToolVersion, ran: Sequence[Ran], seen: Sequence[Seen]) -> Evidence:
    own = next((one for one in ran if one.made_by == AUTHOR), None)
    made = sum(one.made_by == SYSTEM for one in ran)
    findings = [
        Finding(
            # How bad that is, the comparison with what is declared says.
            level=Risk.LOW,
            title="Tried to reach",
            text=f"{one.method} {one.host}: {one.refused}".strip(" :"),
            rule="tried-to-reach",
        )
        for one in dict.fromkeys(one for one in seen if one.refused is not None)
    ]
    if own is None:
        worked = any(one.result.ok for one in ran)
        summary = "The author gave no sample arguments; " + (
            f"it answered some of the {counted(made, 'set')} that the system made."
            if worked
            else f"it failed with the {counted(made, 'set')} that the system made."
        )
    else:
        worked = own.result.ok
        summary = "Ran in the sandbox and answered." if worked else "The trial run failed."
        if made:
            summary += f" {counted(made, 'other set')} of arguments {_were(made)} tried as well."
    if not worked:
        said = error_text((own or ran[0]).result)[:_SHOWN] if ran else "Nothing could be run."
        findings.insert(
            0, Finding(level=Risk.MEDIUM, title="Trial failed", text=said, rule="trial-failed")
        )
    return evidence(
        Check.TRIAL,
        version,
        Status.WARNING if findings else Status.PASSED,
        summary,
        findings,
        _facts(own or (ran[0] if ran else None)),
    ).model_copy(update={"runs": tuple(_run(one) for one in ran)})


def egress(version: ToolVersion, uses: tuple[HostUse, ...], runs: int) -> Evidence:
    findings = egress_findings(uses)
    serious = [finding for finding in findings if finding.level is not Risk.LOW]
    undeclared = [use for use in uses if not use.declared]
    times = counted(runs, "run")
    if undeclared:
        hosts = ", ".join(use.host for use in undeclared)
        summary = f"In {times} it tried to reach what the code does not name: {hosts}."
    elif not uses:
        summary = f"In {times} it reached nothing, and the code names no host."
    else:
        reached = sum(bool(use.reached) for use in uses)
        summary = f"In {times} it reached {reached} of the {counted(len(uses), 'host')} it names."
    status = Status.WARNING if serious else Status.PASSED
    piece = evidence(Check.EGRESS, version, status, summary, findings)
    return piece.model_copy(update={"hosts": uses})


def behaviour(
    version: ToolVersion,
    released: ToolVersion,
    pairs: Sequence[tuple[Ran, Ran]],
    *,
    recorded: int,
    network: str,
) -> Evidence:
    """``pairs``: the released version's run and the new one's, with the same arguments."""
    runs = [_run(new, old) for old, new in pairs]
    changed = sum(run.changed for run in runs)
    facts = {
        "Calls replayed": f"{len(pairs)} of the last {recorded}",
        "Arguments": "as the log keeps them: secrets redacted, long values cut",
        "Secrets": "dummies",
        "Network": network,
    }
    if not pairs:
        return evidence(
            Check.BEHAVIOUR,
            version,
            Status.SKIPPED if not recorded else Status.MISSING,
            f"Version {released.number} was never called."
            if not recorded
            else "No recorded call could be replayed in time.",
            facts=facts,
        )
    findings = [
        Finding(
            level=Risk.MEDIUM,
            title="Other answer",
            text=f"With {run.arguments}: {run.before} became {run.result or run.error}.",
            rule="other-answer",
            why="Callers rely on what the released version answers.",
        )
        for run in runs
        if run.changed
    ]
    summary = (
        f"{changed} of {counted(len(runs), 'replayed call')} got another answer than from version "
        f"{released.number}."
        if changed
        else f"{counted(len(runs), 'replayed call')} got the same answer as from version "
        f"{released.number}."
    )
    status = Status.WARNING if changed else Status.PASSED
    piece = evidence(Check.BEHAVIOUR, version, status, summary, findings, facts)
    return piece.model_copy(update={"runs": tuple(runs)})


def _facts(ran: Ran | None) -> dict[str, str]:
    if ran is None:
        return {}
    result = ran.result
    facts = {
        "Sample": json.dumps(ran.arguments)[:_SHOWN],
        "Duration": f"{result.duration_ms:.1f} ms",
    }
    if result.ok:
        facts["Result"] = json.dumps(result.result)[:_SHOWN]
    else:
        facts["Error"] = error_text(result)[:_SHOWN]
    if result.stdout:
        facts["Output"] = result.stdout[:_SHOWN]
    return facts


def _run(ran: Ran, before: Ran | None = None) -> TrialRun:
    result = ran.result
    return TrialRun(
        made_by=ran.made_by,
        arguments=json.dumps(ran.arguments)[:_SHOWN],
        ok=result.ok,
        result=json.dumps(result.result)[:_SHOWN] if result.ok else "",
        error=error_text(result)[:_SHOWN],
        stdout=result.stdout[:_SHOWN],
        duration_ms=round(result.duration_ms, 1),
        before=None if before is None else _answer(before.result),
        changed=before is not None and _whole(before.result) != _whole(result),
    )


def _answer(result: RunResult) -> str:
    return json.dumps(result.result)[:_SHOWN] if result.ok else error_text(result)[:_SHOWN]


def _whole(result: RunResult) -> object:
    """Failing differently, at another line say, is still failing."""
    return (True, json.dumps(result.result, sort_keys=True)) if result.ok else (False, "")


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
