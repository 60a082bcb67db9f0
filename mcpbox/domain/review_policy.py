"""The review policy: who has to agree to what, what is decided by rules, and how strict we are.

Compatibility rule: kept for ever, one version after the other, so fields are only added, with a
default, and that default is the most restrictive value.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from mcpbox.domain.base import DomainModel
from mcpbox.domain.evidence import Risk
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.review import Requirements, Roles, Separation, Verdicts
from mcpbox.domain.subjects import Kind
from mcpbox.domain.texts import Text
from mcpbox.domain.verdicts import Verdict

EXPRESSION_MAX_LENGTH = 1000
BUILT_IN_RULES = frozenset(
    {"sticky", "tool_approval_mode", "module_approval_mode", "network_access_policy"}
)
"""Under these names decides what is set without a rule of one's own."""
_MAX_RULES = 50
_MAX_NAMES = 100
_SHORTEST = timedelta(minutes=1)
_LONGEST = timedelta(days=365)

Approvals = Annotated[int, Field(ge=1, le=20)]
Span = Annotated[timedelta, Field(ge=_SHORTEST, le=_LONGEST)]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=100)]
RatePerMinute = Annotated[int, Field(ge=10, le=1_000_000)]
RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]


class ReviewFacts(DomainModel):
    """What a policy knows of a request; kept with the request for later dry runs."""

    kind: Kind
    server: str
    tool: str = ""
    """Empty where the request is about no tool."""
    requester: str
    """Label, ``client:laptop``."""
    owner: str = ""
    """User name of the person whose client asked; empty when a person asked."""
    risk: Risk
    new_hosts: tuple[str, ...] = ()
    """As the next two: asked for, and neither released before nor granted."""
    new_modules: tuple[str, ...] = ()
    new_secrets: tuple[str, ...] = ()
    unshown: tuple[str, ...] = ()
    """What of these the request does not name as a need of its own."""
    subset_of_released: bool = False
    """There is a released version, and this one may do nothing that it may not."""
    checks: dict[str, str] = Field(default_factory=dict)
    """``{check: status}``."""
    hour: Annotated[int, Field(ge=0, le=23)] = 0
    """When it was presented, in UTC."""
    weekday: Annotated[int, Field(ge=1, le=7)] = 1
    """Likewise; 1 is Monday."""

    @property
    def asks_for_more(self) -> bool:
        return bool(self.new_hosts or self.new_modules or self.new_secrets or self.unshown)


class Override(DomainModel):
    """Requirements of some requests; what is empty matches everything, ``None`` leaves it."""

    name: Name
    kinds: tuple[Kind, ...] = ()
    servers: Annotated[tuple[Name, ...], Field(max_length=_MAX_NAMES)] = ()
    risks: tuple[Risk, ...] = ()

    approvals: Approvals | None = None
    roles: Roles | None = None
    reasons: Verdicts | None = None
    separation: Separation | None = None
    ttl: Span | None = None
    execution_window: Span | None = None
    reminders: tuple[Span, ...] | None = None
    escalate_after: Span | None = None
    escalate_to: tuple[Name, ...] | None = None
    probation: ProbationTerms | None = None

    @property
    def changes(self) -> dict[str, object]:
        """``{field of Requirements: value}``, of those that it changes."""
        given = {name: getattr(self, name) for name in Requirements.model_fields}
        return {name: value for name, value in given.items() if value is not None}


class LighterPath(StrEnum):
    """For a version that asks for nothing beyond the released one, with every check passed."""

    OFF = "off"
    FEWER = "fewer"
    """So many approvals do; see :class:`Sticky`."""
    AUTOMATIC = "automatic"


class Sticky(DomainModel):
    path: LighterPath = LighterPath.OFF
    approvals: Approvals = 1
    """With ``fewer``, where the requirements ask for more."""


class Rule(DomainModel):
    name: RuleName
    expression: Annotated[Text, Field(min_length=1, max_length=EXPRESSION_MAX_LENGTH)]
    """CEL over :class:`ReviewFacts`; true means that the rule decides."""
    reason: Annotated[Text, Field(min_length=1, max_length=REASON_MAX_LENGTH)]
    """Kept with the decision, and told to the author."""


class RemoteEditing(StrEnum):
    DISABLED = "disabled"
    """Clients that come over a proxy or from a public address change no tool or server."""
    ENABLED = "enabled"


class ApprovalMode(StrEnum):
    REQUIRE_APPROVAL = "require_approval"
    AUTO_APPROVE = "auto_approve"


class NetworkAccess(StrEnum):
    REQUIRE_APPROVAL = "require_approval"
    ALLOW_ALL_PUBLIC = "allow_all_public"


class Redaction(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class SecuritySettings(DomainModel):
    """The default of each is the most restrictive value, or a number that few ever need raise."""

    remote_tool_editing: RemoteEditing = RemoteEditing.DISABLED
    tool_approval_mode: ApprovalMode = ApprovalMode.REQUIRE_APPROVAL
    network_access_policy: NetworkAccess = NetworkAccess.REQUIRE_APPROVAL
    module_approval_mode: ApprovalMode = ApprovalMode.REQUIRE_APPROVAL
    redact_secrets_in_output: Redaction = Redaction.ENABLED
    redact_prefixes: Annotated[
        tuple[Annotated[Text, StringConstraints(pattern=r"^\S{3,50}$")], ...],
        Field(max_length=_MAX_NAMES),
    ] = ()
    """Words that begin like this are cut as well: ``sk-``, ``ghp_``."""
    mcp_rate_limit_rpm: RatePerMinute = 300
    """HTTP requests of one client to the gateway."""
    user_rate_limit_rpm: RatePerMinute = 600
    """Those of all clients of one person together."""
    tool_rate_limit_rpm: RatePerMinute = 600
    """Calls of one released tool, whoever makes them."""
    log_retention_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Older rows of the execution log are deleted."""


class ReviewPolicy(DomainModel):
    requirements: Requirements = Requirements()
    """Of every request, as far as no override says otherwise."""
    overrides: Annotated[tuple[Override, ...], Field(max_length=_MAX_RULES)] = ()
    """In this order, a later one over an earlier one."""
    sticky: Sticky = Sticky()
    auto_deny: Annotated[tuple[Rule, ...], Field(max_length=_MAX_RULES)] = ()
    """Asked before those that approve."""
    auto_approve: Annotated[tuple[Rule, ...], Field(max_length=_MAX_RULES)] = ()
    settings: SecuritySettings = SecuritySettings()

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        names = [rule.name for rule in (*self.auto_deny, *self.auto_approve)]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two rules are named {min(twice)!r}; names tell rules apart")
        reserved = BUILT_IN_RULES.intersection(names)
        if reserved:
            raise ValueError(f"{min(reserved)!r} is the name of a built-in rule; choose another")
        _require_meetable("requirements", self.requirements)
        for override in self.overrides:
            merged = self.requirements.model_copy(update=override.changes)
            _require_meetable(f"override {override.name!r}", merged)
        return self


class PolicyVersion(DomainModel):
    """One state of the policy; a change makes the next one and leaves this as it is."""

    version: Annotated[int, Field(ge=0)]
    """0 is the built-in one, which was there before anybody changed anything."""
    policy: ReviewPolicy
    changed_by: str
    changed_at: datetime | None
    reason: str


class PolicyChange(DomainModel):
    policy: ReviewPolicy
    expected_version: Annotated[int, Field(ge=0)]
    """The version that was read; when there is a newer one by now, nothing is changed."""
    reason: Annotated[Text, Field(min_length=1, max_length=REASON_MAX_LENGTH)]


class Automatic(DomainModel):
    """What the rules say of a request; no verdict means that people decide."""

    verdict: Verdict | None = None
    rule: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    """For people: which rules could not be asked, and why an approval did not count."""


def _require_meetable(place: str, given: Requirements) -> None:
    if not 1 <= given.approvals <= 20:
        raise ValueError(f"{place}: between 1 and 20 approvals can be required")
    if not given.roles:
        raise ValueError(f"{place}: name at least one role, or nobody may decide")
    spans = (given.ttl, given.execution_window, *given.reminders)
    if not all(_SHORTEST <= span <= _LONGEST for span in spans):
        raise ValueError(f"{place}: times lie between a minute and a year")
    if len(given.reminders) > 10 or list(given.reminders) != sorted(set(given.reminders)):
        raise ValueError(f"{place}: give at most ten reminders, the earliest first")
    late = [span for span in (*given.reminders, given.escalate_after) if span and span >= given.ttl]
    if late:
        raise ValueError(f"{place}: a reminder or an escalation comes after the request expired")
    if (given.escalate_after is None) != (not given.escalate_to):
        raise ValueError(f"{place}: escalate_after and escalate_to need each other")
