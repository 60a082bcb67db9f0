"""A change request: what an LLM asks, what people decided, and where it stands."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BeforeValidator, Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.evidence import Evidence, Risk, RiskScore
from mcpbox.domain.grants import DAYS_MAX
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import (
    CommentId,
    DecisionId,
    Digest,
    RequestId,
    ServerId,
    ToolId,
    VersionId,
)
from mcpbox.domain.manifests import Needs
from mcpbox.domain.modules import Requirement, WheelLock
from mcpbox.domain.people import Principal
from mcpbox.domain.probation import Probation, ProbationTerms
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.secrets import SecretName
from mcpbox.domain.texts import Text
from mcpbox.domain.tools import ToolVersion, callable_name
from mcpbox.domain.verdicts import Verdict

REASON_MAX_LENGTH = 2000
LINE_COMMENTS_MAX = 50
BREAK_GLASS_REASON_MIN_LENGTH = 10
BATCH_MAX = 50
_REFUSED_MAX = 100
_CHOSEN_ID_MAX_LENGTH = 200
_DIGEST_MAX_LENGTH = 100


class Kind(StrEnum):
    PUBLISH = "publish"
    MODULE_GRANT = "module_grant"
    HOST_GRANT = "host_grant"
    SECRET_BINDING = "secret_binding"  # noqa: S105 - a word, no secret
    ROLLBACK = "rollback"
    RESTORE = "restore"


class State(StrEnum):
    GATHERING = "gathering"
    AWAITING_DECISION = "awaiting_decision"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    APPLYING = "applying"
    APPLIED = "applied"
    APPLY_FAILED = "apply_failed"
    DENIED = "denied"
    VETOED = "vetoed"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL

    @property
    def decidable(self) -> bool:
        return self in (State.AWAITING_DECISION, State.CHANGES_REQUESTED)


TERMINAL = frozenset(
    {
        State.APPLIED,
        State.APPLY_FAILED,
        State.DENIED,
        State.VETOED,
        State.WITHDRAWN,
        State.SUPERSEDED,
        State.EXPIRED,
    }
)


class Channel(StrEnum):
    """The face a decision came through."""

    API = "api"
    PANEL = "panel"
    CLI = "cli"
    TEMPORAL = "temporal"
    POLICY = "policy"
    """No face: a rule decided when the request was presented."""


Days = Annotated[int, Field(ge=1, le=DAYS_MAX)]
"""How long a grant holds, counted from when it takes effect."""


class VersionSubject(DomainModel):
    """One version of a tool, which is to be the one that clients call."""

    server_id: ServerId
    server_name: str
    tool_id: ToolId
    tool_name: str
    version_id: VersionId
    version_number: int

    @property
    def key(self) -> str:
        return str(self.tool_id)

    @property
    def thing(self) -> str:
        """What a newer request of this kind, with the same key, takes the place of."""
        return self.key

    @property
    def title(self) -> str:
        return callable_name(self.server_name, self.tool_name)


class PublishSubject(VersionSubject):
    """Make one version of a tool callable, with the grants it needs."""

    kind: Literal[Kind.PUBLISH] = Kind.PUBLISH
    requirements: tuple[Requirement, ...] = ()
    """Modules that it brings with it, sorted by module; its server has none of them yet."""

    @property
    def label(self) -> str:
        return f"publish {self.title} v{self.version_number}"


class RollbackSubject(VersionSubject):
    """Go back to a version that was released once."""

    kind: Literal[Kind.ROLLBACK] = Kind.ROLLBACK

    @property
    def label(self) -> str:
        return f"roll {self.title} back to v{self.version_number}"


class RestoreSubject(VersionSubject):
    """Bring back what a person revoked."""

    kind: Literal[Kind.RESTORE] = Kind.RESTORE

    @property
    def label(self) -> str:
        return f"restore {self.title} v{self.version_number}"


class GrantSubject(DomainModel):
    """Let the tools of one server use something."""

    server_id: ServerId
    server_name: str
    days: Days | None = None
    """``None``: until somebody revokes it."""

    @property
    def key(self) -> str:
        return str(self.server_id)


class ModuleSubject(GrantSubject):
    """Let a server's tools import a module, with all the packages that it needs."""

    kind: Literal[Kind.MODULE_GRANT] = Kind.MODULE_GRANT
    requirement: Requirement

    @property
    def thing(self) -> str:
        return self.requirement.module

    @property
    def title(self) -> str:
        return f"{self.requirement.module} for {self.server_name}"

    @property
    def label(self) -> str:
        return f"grant {self.server_name} the module {self.requirement.module}"


class HostSubject(GrantSubject):
    """Let a server's tools reach a host, as far as their own code names it."""

    kind: Literal[Kind.HOST_GRANT] = Kind.HOST_GRANT
    access: HostAccess

    @property
    def thing(self) -> str:
        return str(self.access)

    @property
    def title(self) -> str:
        return f"{self.access.authority} for {self.server_name}"

    @property
    def label(self) -> str:
        return f"grant {self.server_name} the host {self.access}"


class SecretSubject(GrantSubject):
    """Let a server's tools use a secret, as far as their own code names it."""

    kind: Literal[Kind.SECRET_BINDING] = Kind.SECRET_BINDING
    name: SecretName
    hosts: tuple[str, ...]
    """Where its value may be sent."""

    @property
    def thing(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        return f"{self.name} for {self.server_name}"

    @property
    def label(self) -> str:
        return f"let {self.server_name} use the secret {self.name}"


Subject = Annotated[
    PublishSubject | RollbackSubject | RestoreSubject | ModuleSubject | HostSubject | SecretSubject,
    Field(discriminator="kind"),
]
"""What a request is about."""


class RequestDraft(DomainModel):
    """What starts a change request workflow. No code in it: the version is named by its id."""

    id: RequestId
    subject: Subject
    digest: Digest
    requester: str
    """Label of the principal, ``client:laptop``."""
    notes: Text = Field(default="", max_length=REASON_MAX_LENGTH)
    quorum: int = Field(default=1, ge=1)
    ttl: timedelta = timedelta(days=7)


def requirements_in(subject: Subject) -> tuple[Requirement, ...]:
    """The modules that approving grants."""
    match subject:
        case ModuleSubject():
            return (subject.requirement,)
        case PublishSubject():
            return subject.requirements
        case _:
            return ()


def workflow_id_of(subject: Subject, digest: Digest, attempt: int) -> str:
    """Derived from the subject and the digest, so asking twice is asking once.

    ``attempt`` counts the earlier requests for the same digest that ended without a decision.
    """
    return f"{workflow_ids_begin(subject, digest)}{attempt}"


def workflow_ids_begin(subject: Subject, digest: Digest) -> str:
    """What the workflow ids of all attempts have in common."""
    return f"{subject.kind}/{subject.key}/{digest.removeprefix('sha256:')[:16]}/"


def request_id_of(workflow_id: str) -> RequestId:
    return RequestId(uuid5(NAMESPACE_URL, f"mcpbox:{workflow_id}"))


def _as_uuid(value: object) -> object:
    if not isinstance(value, str) or not 0 < len(value) <= _CHOSEN_ID_MAX_LENGTH:
        return value
    try:
        return UUID(value)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"mcpbox:decision:{value}")


ChosenId = Annotated[DecisionId, BeforeValidator(_as_uuid)]
"""A UUID, or any other text, which stands for a UUID that is always the same."""


class LineComment(DomainModel):
    """A remark at one line of the code that the decision is about."""

    line: int = Field(ge=1, le=1_000_000)
    text: Text = Field(min_length=1, max_length=REASON_MAX_LENGTH)


class DecisionDraft(DomainModel):
    """What a reviewer sends; identity and time are added by us, never by the sender."""

    id: ChosenId = Field(
        description="Chosen by the sender: a UUID or any text; a retry with it changes nothing."
    )
    verdict: Verdict
    reason: Text = Field(default="", max_length=REASON_MAX_LENGTH)
    seen_digest: Digest = Field(
        min_length=1,
        max_length=_DIGEST_MAX_LENGTH,
        description="The digest on the reviewer's screen; any other is stale.",
    )
    probation: ProbationTerms | None = Field(
        default=None,
        description="When approving a publication: for how long, before people are asked again.",
    )
    comments: tuple[LineComment, ...] = Field(
        default=(), max_length=LINE_COMMENTS_MAX, description="Remarks at lines of the code."
    )
    refused: tuple[Text, ...] = Field(
        default=(),
        max_length=_REFUSED_MAX,
        description="When approving: items of the request's needs that are not granted.",
    )
    break_glass: bool = Field(
        default=False,
        description="An admin alone forces the approval; another person reviews it afterwards.",
    )


class Decision(DecisionDraft):
    request_id: RequestId
    reviewer: str
    """User name of the person."""
    channel: Channel
    decided_at: datetime
    round: int = 1
    """Only votes of the request's present round count."""
    on_behalf_of: str | None = None
    """User name of the person whose right was used, by their deputy."""
    retracted_at: datetime | None = None


class Comment(DomainModel):
    id: CommentId
    request_id: RequestId
    author: str
    """Label of the principal."""
    text: str
    line: int | None = None
    """Of the code with this digest; ``None``: about the request as a whole."""
    digest: Digest
    round: int
    decision_id: DecisionId | None = None
    """Of the decision that it came with."""
    commented_at: datetime


class CommentDraft(DomainModel):
    text: Text = Field(min_length=1, max_length=REASON_MAX_LENGTH)
    line: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Of the code as it is shown now."
    )


class ReviewAfterwards(StrEnum):
    """What became of an approval that one admin forced."""

    OPEN = "open"
    REVIEWED = "reviewed"


class DecideCommand(DomainModel):
    """Payload of the update ``decide``, made by a face that knows who is asking."""

    draft: DecisionDraft
    reviewer: Principal
    channel: Channel


class WithdrawCommand(DomainModel):
    """Payload of the update ``withdraw``."""

    by: Principal
    reason: Text = Field(default="", max_length=REASON_MAX_LENGTH)


class ReviseCommand(DomainModel):
    """Payload of the update ``revise``: a newer version on the same request."""

    by: Principal
    subject: Subject
    digest: Digest
    notes: Text = Field(default="", max_length=REASON_MAX_LENGTH)


class RetractCommand(DomainModel):
    """Payload of the update ``retract``: take one's own vote back."""

    by: Principal
    channel: Channel


class RequestSummary(DomainModel):
    """One row of the queue: the projection of a workflow."""

    id: RequestId
    workflow_id: str
    kind: Kind
    state: State
    state_reason: str
    """Why it is in this state, in words for the requester; empty where the state says it all."""
    title: str
    """What it is about, in few words: ``weather__forecast``, ``dateutil for weather``."""
    server_id: ServerId
    server_name: str
    tool_id: ToolId | None = None
    """As the next three, of requests about a version alone."""
    tool_name: str | None = None
    version_id: VersionId | None = None
    version_number: int | None = None
    released_number: int | None = None
    """The version that was released when the request opened; ``None`` for a first one."""
    requirement: Requirement | None = None
    """Of requests for a module alone."""
    access: HostAccess | None = None
    """Of requests for a host alone."""
    secret_name: str | None = None
    """As the next, of requests for a secret alone."""
    secret_hosts: tuple[str, ...] = ()
    days: int | None = None
    """How long what it grants is to hold; ``None``: until somebody revokes it."""
    digest: Digest
    requester: str
    notes: str
    quorum: int
    risk: Risk | None
    """``None`` until the evidence is complete or marked as missing."""
    round: int = 1
    """Counted from 1; every revision begins the next."""
    assignee: str | None = None
    """User name of the person who was asked to decide."""
    review_afterwards: ReviewAfterwards | None = None
    """Of approvals that one admin forced."""
    created_at: datetime
    updated_at: datetime
    expires_at: datetime


class HistoryEntry(DomainModel):
    at: datetime
    actor: str
    action: str
    """``source:subject:action``, as in the audit log."""
    detail: str


class Round(DomainModel):
    """What was asked in one round of a request."""

    number: int
    digest: Digest
    version: ToolVersion | None
    """Of requests to publish."""
    notes: str
    opened_at: datetime


class RequestDetail(RequestSummary):
    proposed: ToolVersion | None = None
    released: ToolVersion | None = None
    lock: WheelLock | None = None
    """What approving installs, once it is resolved; of requests for a module alone."""
    installed: WheelLock | None = None
    """What the server's tools have now, to compare with; ``None`` once that is the same."""
    probation: Probation | None = None
    """Of the release that it made, where the approval was not for good."""
    needs: Needs
    """What approving grants besides: hosts that the server does not hold yet."""
    granted: Needs | None = None
    """The part of the needs that was approved; ``None``: all of it, or nothing is decided."""
    terms: ReviewTerms | None = None
    """Frozen when it is presented; ``None`` until then."""
    authors: frozenset[str] = frozenset()
    """Labels of those who made the request or wrote its version."""
    owners: frozenset[str] = frozenset()
    """User names of the people whose clients these are."""
    escalated: bool = False
    evidence: list[Evidence]
    score: RiskScore | None = None
    """Why the risk is what it is; ``None`` as long as that is not known."""
    decisions: list[Decision]
    comments: tuple[Comment, ...] = ()
    """Oldest first."""
    rounds: tuple[Round, ...] = ()
    """Oldest first; the last one is the present."""
    history: list[HistoryEntry]
    """Oldest first; refused attempts to decide are in it, with the reason."""


class Outcome(DomainModel):
    """What a decision led to, as far as it has come."""

    request_id: RequestId
    state: State
    state_reason: str = ""
