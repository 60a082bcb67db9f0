"""The cards of the policy page that are forms: security settings, requirements, lighter path."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from mcpbox.domain.people import Role
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.review import Separation
from mcpbox.domain.review_policy import (
    ApprovalMode,
    LighterPath,
    NetworkAccess,
    Redaction,
    RemoteEditing,
)
from ui.pages.policy_controls import Card, line, pick, row, toggles
from ui.pages.policy_draft import Draft
from ui.parts import box, text
from ui.visit import Visit
from ui.words import VERDICTS, read_span, span

_SPAN_HINT = "A length of time: 90 min, 12 h, 7 d"
_APPROVAL = {
    ApprovalMode.REQUIRE_APPROVAL: "People approve",
    ApprovalMode.AUTO_APPROVE: "Automatic",
}
SEPARATIONS = {
    Separation.OFF: "Anybody with the role",
    Separation.AUTHOR: "Not the author",
    Separation.OWNER: "Nor the client's owner",
}
ROLES = {role: role.capitalize() for role in (Role.REVIEWER, Role.ADMIN, Role.OPERATOR)}
_PATHS = {
    LighterPath.OFF: "Off",
    LighterPath.FEWER: "Fewer approvals",
    LighterPath.AUTOMATIC: "Automatic",
}
_CHOICES: tuple[tuple[str, str, str, dict[Any, str]], ...] = (
    (
        "remote_tool_editing",
        "Editing from outside",
        "Whether clients that come over a proxy, a tunnel or from a public address may make, "
        "change or delete tools and servers. Calling and asking is not affected.",
        {RemoteEditing.DISABLED: "Refused", RemoteEditing.ENABLED: "Allowed"},
    ),
    (
        "tool_approval_mode",
        "New and changed tools",
        "Automatic: a version that passes every check and asks for nothing that people have to "
        "grant is released without anybody having read it.",
        _APPROVAL,
    ),
    (
        "module_approval_mode",
        "Python modules",
        "Automatic: packages without a failed or missing check are installed when a tool asks.",
        _APPROVAL,
    ),
    (
        "network_access_policy",
        "Network hosts",
        "Public hosts are free: asking for one keeps no request from being approved by a rule. "
        "Addresses and names of private networks are always for people.",
        {
            NetworkAccess.REQUIRE_APPROVAL: "People approve",
            NetworkAccess.ALLOW_ALL_PUBLIC: "Public ones are free",
        },
    ),
    (
        "redact_secrets_in_output",
        "Secrets in output",
        "Cut secret values, and what looks like a token or a private key, out of results, errors "
        "and printed text before a client or the log gets them.",
        {Redaction.ENABLED: "Cut out", Redaction.DISABLED: "Shown"},
    ),
)

_RATES = (
    (
        "mcp_rate_limit_rpm",
        "Requests of a client",
        "In a minute, to the gateway; past that it is told how long to wait.",
    ),
    (
        "user_rate_limit_rpm",
        "Requests of a person's clients",
        "In a minute, of all of them together.",
    ),
    ("tool_rate_limit_rpm", "Calls of a tool", "In a minute, by all clients together."),
)


def settings_card(visit: Visit, draft: Draft) -> None:
    Card(visit, "Security settings", partial(_settings, draft))


def requirements_card(visit: Visit, draft: Draft) -> None:
    Card(visit, "What a request needs", partial(_requirements, draft))


def _settings(draft: Draft, card: Card) -> None:
    head("Security settings", "They act at once. The first of each is the strictest.")
    settings = draft.policy.settings
    for name, label, explanation, options in _CHOICES:
        with row(label, explanation):
            pick(card, label, options, getattr(settings, name), _setter(draft, "settings", name))
    with row("Words to cut as well", "Beginnings of words, with commas between: acme-, tok_"):
        line(
            "Words to cut as well",
            ", ".join(settings.redact_prefixes),
            _reading(draft, "settings", "redact_prefixes", _read_words),
            wide=True,
        )
    for name, label, explanation in _RATES:
        with row(label, explanation):
            line(
                label,
                str(getattr(settings, name)),
                _reading(draft, "settings", name, partial(_read_number, 10, 1_000_000)),
            )
    with row("Keep the execution log for", "In days; older rows are deleted every hour."):
        line(
            "Days to keep the execution log",
            str(settings.log_retention_days),
            _reading(draft, "settings", "log_retention_days", partial(_read_number, 1, 3650)),
        )


def _requirements(draft: Draft, card: Card) -> None:
    head("What a request needs", "As far as no override below says otherwise.")
    needs, part = draft.policy.requirements, "requirements"
    with row("Approvals", "How many people have to approve."):
        line(
            "Approvals",
            str(needs.approvals),
            _reading(draft, part, "approvals", partial(_read_number, 1, 20)),
        )
    with row("Who decides", "People with any of these roles."):
        toggles(card, "Who decides", ROLES, needs.roles, _setter(draft, part, "roles"))
    with row("Who may not", "Separation of duties."):
        pick(card, "Who may not", SEPARATIONS, needs.separation, _setter(draft, part, "separation"))
    with row("A reason is needed to", "The author reads it."):
        toggles(
            card, "A reason is needed to", VERDICTS, needs.reasons, _setter(draft, part, "reasons")
        )
    spans = (
        ("ttl", "Undecided, it expires after"),
        ("execution_window", "Approved but not applied, it lapses after"),
    )
    for name, label in spans:
        with row(label):
            line(
                label,
                span(getattr(needs, name)),
                _reading(draft, part, name, _read_span),
                placeholder="7 d",
            )
    with row("Remind after", "Counted from the opening, the earliest first: 1 d, 3 d"):
        line(
            "Remind after",
            ", ".join(map(span, needs.reminders)),
            _reading(draft, part, "reminders", _read_spans),
            placeholder="never",
        )
    with row("Escalate after", "Then the people named below may decide too."):
        line(
            "Escalate after",
            span(needs.escalate_after) if needs.escalate_after else "",
            _reading(draft, part, "escalate_after", _read_optional_span),
            placeholder="never",
        )
    with row("Escalate to", "User names, with commas between."):
        line(
            "Escalate to",
            ", ".join(needs.escalate_to),
            _reading(draft, part, "escalate_to", _read_words),
            placeholder="nobody",
            wide=True,
        )
    with row("On probation for", "Hours; then what was released is withdrawn and asked again."):
        line(
            "Hours on probation",
            _told(needs.probation, "hours"),
            _reading(draft, part, "probation", partial(_read_probation, draft, "hours", float)),
            placeholder="no limit",
        )
    with row("On probation for calls", "Whichever of the two is reached first ends it."):
        line(
            "Calls on probation",
            _told(needs.probation, "calls"),
            _reading(draft, part, "probation", partial(_read_probation, draft, "calls", int)),
            placeholder="no limit",
        )
    with row(
        "Lighter path",
        "For a new version that may do nothing that the released one may not, with every check "
        "passed.",
    ):
        sticky = draft.policy.sticky
        with box("line-row"):
            pick(card, "Lighter path", _PATHS, sticky.path, _setter(draft, "sticky", "path"))
            if sticky.path is LighterPath.FEWER:
                line(
                    "Approvals on the lighter path",
                    str(sticky.approvals),
                    _reading(draft, "sticky", "approvals", partial(_read_number, 1, 20)),
                )


def head(title: str, note: str) -> None:
    with box("section-head wrap"):
        text(title, "grow", "h2")
        text(note, "faint small")


def _setter(draft: Draft, part: str, name: str) -> Callable[[Any], None] | None:
    if not draft.editable:
        return None
    return lambda value: draft.set(part, **{name: value})


def _reading(
    draft: Draft, part: str, name: str, read: Callable[[str], Any]
) -> Callable[[str], str] | None:
    """Takes text into the draft; what cannot be read is told and not taken."""
    if not draft.editable:
        return None

    def take(text: str) -> str:
        try:
            value = read(text)
        except ValueError as error:
            return str(error)
        draft.set(part, **{name: value})
        return ""

    return take


def _read_number(lowest: int, highest: int, text: str) -> int:
    if not text.strip().isdecimal() or not lowest <= int(text) <= highest:
        raise ValueError(f"A number from {lowest} to {highest}")
    return int(text)


def _read_words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _read_span(text: str) -> timedelta:
    found = read_span(text)
    if found is None:
        raise ValueError(_SPAN_HINT)
    return found


def _read_optional_span(text: str) -> timedelta | None:
    return _read_span(text) if text.strip() else None


def _told(probation: ProbationTerms | None, name: str) -> str:
    limit = None if probation is None else getattr(probation, name)
    return "" if limit is None else f"{limit:g}"


def _read_probation(
    draft: Draft, name: str, number: Callable[[str], float], text: str
) -> ProbationTerms | None:
    """With the other limits as they are; ``None`` where nothing is left of it."""
    before = draft.policy.requirements.probation or ProbationTerms()
    try:
        limits = before.model_dump() | {name: number(text) if text.strip() else None}
        terms = ProbationTerms.model_validate(limits)
    except ValueError as error:
        raise ValueError("A number above 0, or nothing for no limit") from error
    return None if terms == ProbationTerms() else terms


def _read_spans(text: str) -> tuple[timedelta, ...]:
    return tuple(map(_read_span, _read_words(text)))
