"""What the review policy makes of a request: the terms it is decided under, and what rules say."""

from collections.abc import Sequence

from mcpbox.domain.errors import Refused
from mcpbox.domain.evidence import Status
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.review_policy import (
    ApprovalMode,
    Automatic,
    LighterPath,
    NetworkAccess,
    Override,
    PolicyVersion,
    ReviewFacts,
    ReviewPolicy,
    Rule,
    SecuritySettings,
)
from mcpbox.domain.subjects import Kind
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.rules import RuleFailed, matches, require_sound
from mcpbox.policies.ruling import ALLOWED, Ruling

_NOT_PUBLIC = frozenset(
    {"corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost"}
    | {"onion", "private", "test"}
)
"""Last labels that no public name has; RFC 6761, 6762, 7686, 9476 and common use."""
_ABOUT_TOOLS = frozenset({Kind.PUBLISH, Kind.ROLLBACK})
"""What a person revoked is brought back by people alone, whatever the settings."""
_UNCHECKED = frozenset({Status.FAILED, Status.MISSING})


def require_sound_rules(policy: ReviewPolicy) -> None:
    """Raises: Invalid: a rule does not compile; with its name, line and column."""
    for rule in (*policy.auto_deny, *policy.auto_approve):
        require_sound(rule)


def may_change_policy(principal: Principal) -> Ruling:
    """Whoever changes it could let anything through, so no client and no rule ever does."""
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people change the review policy."))
    if Role.ADMIN not in principal.roles:
        return Ruling(Refused("Changing the review policy needs the role admin; ask an admin."))
    return ALLOWED


def terms_for(version: PolicyVersion, facts: ReviewFacts) -> ReviewTerms:
    policy = version.policy
    fields = policy.requirements.model_dump()
    for override in policy.overrides:
        if _concerns(override, facts):
            fields |= override.changes
    if policy.sticky.path is LighterPath.FEWER and _asks_nothing_new(facts):
        fields["approvals"] = min(fields["approvals"], policy.sticky.approvals)
    return ReviewTerms(policy_version=version.version, **fields)


def automatic_verdict(policy: ReviewPolicy, facts: ReviewFacts) -> Automatic:
    """Deny wins; what cannot be asked is left to people."""
    denying, failed = _first_match(policy.auto_deny, facts)
    if denying is not None:
        return Automatic(verdict=Verdict.DENY, rule=denying.name, reason=denying.reason)
    approving, unasked = _approval(policy, facts)
    notes = (*failed, *unasked)
    if approving is None:
        return Automatic(notes=notes)
    if failed:
        return Automatic(notes=(*notes, f"So {approving.name!r} did not approve it."))
    why_not = _why_not_approved_unseen(facts)
    if why_not:
        return Automatic(notes=(*notes, f"{approving.name!r} did not approve it: {why_not}"))
    return Automatic(
        verdict=Verdict.APPROVE, rule=approving.name, reason=approving.reason, notes=notes
    )


def _approval(policy: ReviewPolicy, facts: ReviewFacts) -> tuple[Rule | None, list[str]]:
    rule, failed = _first_match(policy.auto_approve, facts)
    if rule is not None:
        return rule, failed
    if policy.sticky.path is LighterPath.AUTOMATIC and _asks_nothing_new(facts):
        return _BY_STICKY, failed
    return _by_settings(policy.settings, facts), failed


def _first_match(rules: Sequence[Rule], facts: ReviewFacts) -> tuple[Rule | None, list[str]]:
    failed: list[str] = []
    for rule in rules:
        try:
            if matches(rule, facts):
                return rule, failed
        except RuleFailed as error:
            failed.append(f"The rule {rule.name!r} could not be asked: {error}")
    return None, failed


def _why_not_approved_unseen(facts: ReviewFacts) -> str:
    """A rule never approves what people would have had to look at twice."""
    unchecked = sorted(check for check, status in facts.checks.items() if status in _UNCHECKED)
    if unchecked or not facts.checks:
        return f"these checks failed or are missing: {', '.join(unchecked) or 'all of them'}."
    if facts.unshown:
        return f"it asks for what is not shown: {', '.join(facts.unshown)}."
    return ""


def _asks_nothing_new(facts: ReviewFacts) -> bool:
    passed = all(s in (Status.PASSED, Status.SKIPPED) for s in facts.checks.values())
    return facts.subset_of_released and not facts.asks_for_more and passed and bool(facts.checks)


def _by_settings(settings: SecuritySettings, facts: ReviewFacts) -> Rule | None:
    """The approval modes are rules like any other; a new secret is always for people."""
    hosts_may = settings.network_access_policy is NetworkAccess.ALLOW_ALL_PUBLIC
    modules_may = settings.module_approval_mode is ApprovalMode.AUTO_APPROVE
    tools_may = settings.tool_approval_mode is ApprovalMode.AUTO_APPROVE
    if facts.new_secrets:
        return None
    if facts.new_hosts and not (hosts_may and all(map(is_public_name, facts.new_hosts))):
        return None
    if facts.new_modules and not modules_may:
        return None
    if facts.kind in _ABOUT_TOOLS:
        return _BY_TOOL_MODE if tools_may else None
    if facts.kind is Kind.MODULE_GRANT:
        return _BY_MODULE_MODE if facts.new_modules else None
    if facts.kind is Kind.HOST_GRANT:
        return _BY_NETWORK_POLICY if facts.new_hosts else None
    return None


def is_public_name(host: str) -> bool:
    """Whether a host is a name that the public internet could have.

    ``host``: ``[METHOD,… ]host[:port][/path]``. No addresses: which machine one means depends on
    where it is asked.
    """
    authority = host.rpartition(" ")[2].partition("/")[0]
    name = authority.lower().partition(":")[0].removesuffix(".")
    labels = name.split(".")
    return (
        len(labels) > 1
        and all(labels)
        and not labels[-1].isdecimal()
        and labels[-1] not in _NOT_PUBLIC
        and not name.endswith(".home.arpa")
    )


def _concerns(override: Override, facts: ReviewFacts) -> bool:
    return (
        (not override.kinds or facts.kind in override.kinds)
        and (not override.servers or facts.server in override.servers)
        and (not override.risks or facts.risk in override.risks)
    )


_BY_STICKY = Rule(
    name="sticky",
    expression="subset_of_released",
    reason="It may do nothing that the released version may not, and every check passed.",
)
_BY_TOOL_MODE = Rule(
    name="tool_approval_mode",
    expression="kind == 'publish'",
    reason="The setting tool_approval_mode is auto_approve.",
)
_BY_NETWORK_POLICY = Rule(
    name="network_access_policy",
    expression="kind == 'host_grant'",
    reason="The setting network_access_policy is allow_all_public.",
)
_BY_MODULE_MODE = Rule(
    name="module_approval_mode",
    expression="kind == 'module_grant'",
    reason="The setting module_approval_mode is auto_approve.",
)
