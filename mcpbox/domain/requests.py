"""A change request: what an LLM asks, what people decided, and where it stands."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.comments import Comment
from mcpbox.domain.decisions import Decision
from mcpbox.domain.evidence import Evidence, Risk, RiskScore
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import Digest, RequestId, ServerId, ToolId, VersionId
from mcpbox.domain.manifests import Needs
from mcpbox.domain.modules import Requirement, WheelLock
from mcpbox.domain.probation import Probation
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.subjects import Kind, Subject
from mcpbox.domain.texts import Text
from mcpbox.domain.tools import ToolVersion

BATCH_MAX = 50


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
    terms: ReviewTerms | None = None
    """Frozen already: of the request that it asks again for; ``None``: the policy says."""


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


class ReviewAfterwards(StrEnum):
    """What became of an approval that one admin forced."""

    OPEN = "open"
    REVIEWED = "reviewed"


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
