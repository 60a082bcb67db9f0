"""How the panel says things: ages, names and states in words, all pure."""

import re
from datetime import datetime, timedelta
from typing import Literal

from mcpbox.domain.evidence import Check, Risk, Status
from mcpbox.domain.executions import ExecutionOutcome
from mcpbox.domain.external_sources import NeedState, Offer, SourceState
from mcpbox.domain.grants import GrantKind
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.requests import RequestSummary, State
from mcpbox.domain.servers import DesiredState, ServerSummary
from mcpbox.domain.subjects import Kind
from mcpbox.domain.tools import Approval, ToolSummary
from mcpbox.domain.verdicts import Verdict

Tone = Literal["good", "warn", "bad", "busy", "idle"]

STATES: dict[State, tuple[str, Tone]] = {
    State.GATHERING: ("Gathering evidence", "busy"),
    State.AWAITING_DECISION: ("Waiting", "busy"),
    State.CHANGES_REQUESTED: ("Changes requested", "warn"),
    State.APPROVED: ("Approved", "good"),
    State.APPLYING: ("Being applied", "busy"),
    State.APPLIED: ("Applied", "good"),
    State.APPLY_FAILED: ("Could not be applied", "bad"),
    State.DENIED: ("Denied", "bad"),
    State.VETOED: ("Vetoed by a check", "bad"),
    State.WITHDRAWN: ("Withdrawn", "idle"),
    State.SUPERSEDED: ("Superseded", "idle"),
    State.EXPIRED: ("Expired", "idle"),
}
STATUSES: dict[Status, tuple[str, Tone]] = {
    Status.PASSED: ("Passed", "good"),
    Status.WARNING: ("Look closer", "warn"),
    Status.FAILED: ("Failed", "bad"),
    Status.MISSING: ("Not checked", "warn"),
    Status.SKIPPED: ("Not applicable", "idle"),
}
CHECKS: dict[Check, str] = {
    Check.MANIFEST: "What the code needs",
    Check.PROBATION: "What happened on probation",
    Check.GUARD: "Sandbox rules",
    Check.STATIC: "Reading the code",
    Check.CLAIMS: "What it claims",
    Check.TRIAL: "Trial in the sandbox",
    Check.EGRESS: "Hosts: declared and seen",
    Check.BEHAVIOUR: "Recorded calls, old and new",
    Check.COMPOSITION: "Together with its server's tools",
    Check.SCHEMA_DIFF: "Parameters against the released version",
    Check.CODE_DIFF: "Code against the released version",
    Check.PACKAGES: "What it installs",
    Check.VULNERABILITIES: "Known vulnerabilities",
    Check.PACKAGE_FACTS: "About the packages",
    Check.HOST: "The host",
    Check.RELEASES: "Earlier releases",
    Check.SECRET: "The secret",
}
SERVER_STATES: dict[DesiredState, tuple[str, Tone]] = {
    DesiredState.RUNNING: ("Running", "good"),
    DesiredState.STOPPED: ("Stopped", "idle"),
}
SOURCE_STATES: dict[SourceState, tuple[str, Tone]] = {
    SourceState.UNCHECKED: ("Not looked at", "idle"),
    SourceState.BLOCKED: ("Blocked", "warn"),
    SourceState.HEALTHY: ("Healthy", "good"),
    SourceState.UNREACHABLE: ("Unreachable", "bad"),
}
OFFERS: dict[Offer, tuple[str, Tone]] = {
    Offer.NEW: ("New", "idle"),
    Offer.UNUSABLE: ("Cannot be used", "warn"),
    Offer.ASKED: ("Asked for", "busy"),
    Offer.RELEASED: ("Released", "good"),
    Offer.CHANGED: ("Changed, hidden", "bad"),
    Offer.GONE: ("Gone", "bad"),
}
NEEDS: dict[NeedState, tuple[str, Tone]] = {
    NeedState.MISSING: ("Not asked for", "warn"),
    NeedState.ASKED: ("Asked for", "busy"),
    NeedState.UNSET: ("Has no value", "warn"),
    NeedState.MET: ("Granted", "good"),
}
QUARANTINED: tuple[str, Tone] = ("Quarantined", "bad")
FOUND: tuple[str, Tone] = ("Found", "bad")
"""A check that looks for something bad has not failed when it finds it."""
OUTCOMES: dict[ExecutionOutcome, tuple[str, Tone]] = {
    ExecutionOutcome.OK: ("OK", "good"),
    ExecutionOutcome.ERROR: ("Error", "bad"),
    ExecutionOutcome.REFUSED: ("Refused", "warn"),
    ExecutionOutcome.UNAVAILABLE: ("Unavailable", "bad"),
}
APPROVALS: dict[Approval, tuple[str, Tone]] = {
    Approval.DRAFT: ("Draft", "idle"),
    Approval.PENDING_REVIEW: ("Waits for review", "busy"),
    Approval.APPROVED: ("Approved", "good"),
    Approval.REJECTED: ("Rejected", "bad"),
}
GRANTS: dict[GrantKind, str] = {
    GrantKind.HOST: "Reach",
    GrantKind.MODULE: "Import",
    GrantKind.SECRET: "Read",
}
VERDICTS: dict[Verdict, str] = {
    Verdict.APPROVE: "Approve",
    Verdict.DENY: "Deny",
    Verdict.REQUEST_CHANGES: "Request changes",
}
_UNITS = {"min": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"(\d{1,6})\s*(min|h|d)")
_ICONS = {"client": "bot", "system": "package", "policy": "shield-check"}
_ORDER = (Risk.LOW, Risk.MEDIUM, Risk.HIGH, Risk.CRITICAL)


def age(moment: datetime, now: datetime) -> str:
    """How long ago, in few characters: ``now``, ``4 min``, ``3 h``, ``2 d``."""
    minutes = int((now - moment).total_seconds() // 60)
    if minutes < 1:
        return "now"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} d"


def ago(moment: datetime, now: datetime) -> str:
    short = age(moment, now)
    return "just now" if short == "now" else f"{short} ago"


def until(moment: datetime, now: datetime) -> str:
    short = age(now, moment)
    return "in less than a minute" if short == "now" else f"in {short}"


def span(length: timedelta) -> str:
    """In its largest whole unit: ``7 d``, ``12 h``, ``90 min``."""
    minutes = int(length.total_seconds() // 60)
    if minutes % (24 * 60) == 0:
        return f"{minutes // (24 * 60)} d"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def read_span(text: str) -> timedelta | None:
    """What :func:`span` writes, with or without the blank; ``None``: it is no length of time."""
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        return None
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def milliseconds(duration_ms: float | None) -> str:
    if duration_ms is None:
        return "\N{EN DASH}"
    if duration_ms < 10:
        return f"{duration_ms:.1f} ms"
    return f"{duration_ms:.0f} ms" if duration_ms < 1000 else f"{duration_ms / 1000:.1f} s"


def who(label: str) -> tuple[str, str]:
    """A principal's label as (icon, name): what is of no kind that is known is a person."""
    kind, _, name = label.rpartition(":")
    return (_ICONS.get(kind, "user"), name)


def initials(name: str) -> str:
    words = name.replace(".", " ").replace("_", " ").replace("-", " ").split()
    return "".join(word[0] for word in words[:2]) or "?"


def size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def change_of(request: RequestSummary) -> str:
    if request.requirement is not None:
        return request.requirement.beside_module
    if request.access is not None:
        return reach_of(request.access)
    if request.secret_name is not None:
        return f"to {', '.join(request.secret_hosts)}"
    if request.kind is Kind.RESTORE:
        return f"back: v{request.version_number}"
    if request.released_number is None:
        return f"new, v{request.version_number}"
    return f"v{request.released_number} → v{request.version_number}"


def reach_of(access: HostAccess) -> str:
    methods = ", ".join(access.methods) or "every method"
    return f"{methods} below {access.path_prefix}/" if access.path_prefix else methods


def lasting(days: int | None) -> str:
    return "until somebody revokes it" if days is None else f"for {plural(days, 'day')}"


def server_state(server: ServerSummary) -> tuple[str, Tone]:
    return QUARANTINED if server.quarantine else SERVER_STATES[server.desired_state]


def tool_state(tool: ToolSummary) -> tuple[str, Tone]:
    if tool.quarantine:
        return QUARANTINED
    if tool.released_version is None:
        return ("Revoked", "bad") if tool.revoked else ("Not released", "idle")
    if not tool.enabled:
        return f"Disabled, v{tool.released_version}", "warn"
    return f"Version {tool.released_version}", "good"


def action_words(action: str) -> str:
    """``catalog:server:quarantine_lifted`` as a person says it."""
    _, _, rest = action.partition(":")
    return rest.replace(":", " ").replace("_", " ").capitalize() or action


def risk_word(risk: Risk | None) -> str:
    return risk.capitalize() if risk else "Not known"


def at_least(risk: Risk | None, floor: Risk) -> bool:
    """``None`` means that nobody knows yet, which is never less than anything."""
    return risk is None or _ORDER.index(risk) >= _ORDER.index(floor)


def needs_typed_name(risk: Risk | None) -> bool:
    return at_least(risk, Risk.HIGH)


def short_digest(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
