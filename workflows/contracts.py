"""What crosses the wire between workflow and activities: one model in, one out.

Compatibility rule: histories outlive releases, so fields are only added, with a default.
"""

from abc import ABC, abstractmethod
from datetime import datetime

from temporalio import activity

from mcpbox.domain.anchors import Anchor
from mcpbox.domain.base import DomainModel
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.evidence import Check, Risk, Status
from mcpbox.domain.ids import DecisionId, Digest, GrantId, ReleaseId, RequestId
from mcpbox.domain.manifests import Needs
from mcpbox.domain.requests import RequestDraft, State
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.subjects import Subject


class Examination(DomainModel):
    request_id: RequestId
    subject: Subject
    digest: Digest


class PresentRequest(Examination):
    expected: tuple[Check, ...]
    """A check without evidence by now is recorded as missing."""
    terms: ReviewTerms | None = None
    """Frozen before it was asked; ``None``: the policy says."""


class EvidenceLine(DomainModel):
    check: Check
    status: Status
    summary: str


class PresentedRequest(DomainModel):
    state: State
    """Awaiting a decision, or vetoed by a check."""
    state_reason: str = ""
    digest: Digest | None = None
    """What is decided about, where only the evidence could tell; ``None``: what was asked."""
    risk: Risk
    evidence: tuple[EvidenceLine, ...]
    terms: ReviewTerms = ReviewTerms()
    authors: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    needs: Needs = Needs()


class OpenRequest(DomainModel):
    draft: RequestDraft
    workflow_id: str
    opened_at: datetime
    presenting: PresentRequest | None = None
    """Where its evidence takes no more than a look into the database: at once, if it can be."""


class RevisedRequest(DomainModel):
    round: int
    subject: Subject
    digest: Digest


class OpenedRequest(DomainModel):
    older_workflow_ids: tuple[str, ...] = ()
    """Open requests about the same tool, which this one supersedes; oldest first."""
    revised: RevisedRequest | None = None
    """What it had come to before an operator reset it; ``None``: it asks for what it began with."""
    presented: PresentedRequest | None = None
    """``None``: its evidence is still to be gathered."""


class Carried(DomainModel):
    """What one run of a request hands to the next, so that no history grows without end."""

    opened_at: datetime
    round: int
    subject: Subject
    digest: Digest
    state: State
    state_reason: str
    presented: PresentedRequest
    reminded: int
    escalated: bool
    signalled: int
    """How many decisions came by signal."""


class StartRequest(RequestDraft):
    """The workflow's input: what a face sends, and what an earlier run of it knew."""

    carried: Carried | None = None


class RecordDecision(DomainModel):
    request_id: RequestId
    draft: DecisionDraft
    reviewer: str
    """User name; the roles are looked up when it is recorded."""
    channel: Channel
    """As the sender has it; it counts where the voucher holds."""
    voucher: str = ""
    decided_at: datetime
    applying: Examination | None = None
    """What an approval is for, where applying it is quick: then it is one with the decision."""


class RecordRetraction(DomainModel):
    request_id: RequestId
    reviewer: str
    channel: Channel
    voucher: str = ""
    """As above."""
    retracted_at: datetime


class Standing(DomainModel):
    """Where a request stands once something was recorded."""

    state: State
    state_reason: str = ""


class RecordRevision(DomainModel):
    request_id: RequestId
    round: int
    subject: Subject
    digest: Digest
    by: str
    """Label."""
    notes: str
    revised_at: datetime


class Remind(DomainModel):
    request_id: RequestId
    number: int
    """Of the reminder, counted from 1; 0 for an escalation."""
    escalate_to: tuple[str, ...] = ()
    due_at: datetime


class RecordRefusal(DomainModel):
    request_id: RequestId
    reviewer: str
    reason: str
    refused_at: datetime
    unless_decided: DecisionId | None = None
    """Nothing was refused if this one is on record: it was sent again, by a reset."""


class ApplyRequest(Examination):
    pass


class LookUp(DomainModel):
    request_id: RequestId


class Successor(DomainModel):
    label: str | None
    """Of the newest request about the same thing; ``None``: it is this one."""


class CloseRequest(DomainModel):
    request_id: RequestId
    state: State
    state_reason: str = ""
    actor: str


class MadeAnchor(DomainModel):
    anchor: Anchor
    envelope: str
    """As signed: DSSE, a JSON text."""


class AuditActivities(ABC):
    @activity.defn
    @abstractmethod
    async def anchor_audit(self) -> MadeAnchor:
        """Run twice it makes two, which say the same."""

    @activity.defn
    @abstractmethod
    async def export_anchor(self, given: MadeAnchor) -> None:
        """To the directory of anchors, and to the webhook."""


class RequestActivities(ABC):
    """The projection; every one is a single transaction and safe to run twice."""

    @activity.defn
    @abstractmethod
    async def open_request(self, given: OpenRequest) -> OpenedRequest: ...

    @activity.defn
    @abstractmethod
    async def remind(self, given: Remind) -> None:
        """The deciders, or those whom it is escalated to."""

    @activity.defn
    @abstractmethod
    async def record_refusal(self, given: RecordRefusal) -> None: ...

    @activity.defn
    @abstractmethod
    async def close_request(self, given: CloseRequest) -> Standing:
        """Where it stands then: what has ended before stays as it is (I2)."""

    @activity.defn
    @abstractmethod
    async def look_up(self, given: LookUp) -> Standing | None:
        """Where it stands by the record; ``None``: it is on none."""

    @activity.defn
    @abstractmethod
    async def find_successor(self, given: LookUp) -> Successor:
        """What took its place, by the record; nothing of what is on none."""


class RoundActivities(ABC):
    """What a request asks for, one version of it after the other; as safe to run twice."""

    @activity.defn
    @abstractmethod
    async def present_request(self, given: PresentRequest) -> PresentedRequest: ...

    @activity.defn
    @abstractmethod
    async def record_revision(self, given: RecordRevision) -> None:
        """Begins a round: the votes of older ones stay on record and count no more."""


class DecisionActivities(ABC):
    """Votes, by the one rule; as safe to run twice."""

    @activity.defn
    @abstractmethod
    async def record_decision(self, given: RecordDecision) -> Standing: ...

    @activity.defn
    @abstractmethod
    async def record_retraction(self, given: RecordRetraction) -> Standing: ...


class PublishActivities(ABC):
    @activity.defn
    @abstractmethod
    async def apply_publish(self, given: ApplyRequest) -> None: ...


class ReleaseActivities(ABC):
    @activity.defn
    @abstractmethod
    async def examine_releases(self, given: Examination) -> None:
        """When the version was released, by whom, and who revoked that and why."""

    @activity.defn
    @abstractmethod
    async def apply_rollback(self, given: ApplyRequest) -> None: ...

    @activity.defn
    @abstractmethod
    async def apply_restore(self, given: ApplyRequest) -> None: ...


class ModuleActivities(ABC):
    @activity.defn
    @abstractmethod
    async def examine_module(self, given: Examination) -> None:
        """Resolve, fetch and look into the packages; what is known of them. Heartbeats."""

    @activity.defn
    @abstractmethod
    async def apply_module_grant(self, given: ApplyRequest) -> None:
        """Installs what people saw, then lets the server's tools import it. Heartbeats."""


class HostActivities(ABC):
    @activity.defn
    @abstractmethod
    async def examine_host(self, given: Examination) -> None:
        """What kind of host it is, how much of it is asked for, and which tools name it."""

    @activity.defn
    @abstractmethod
    async def apply_host_grant(self, given: ApplyRequest) -> None: ...


class SecretActivities(ABC):
    @activity.defn
    @abstractmethod
    async def examine_secret(self, given: Examination) -> None:
        """Where it may be sent, whether it is set, and which tools name it; never its value."""

    @activity.defn
    @abstractmethod
    async def apply_secret_binding(self, given: ApplyRequest) -> None: ...


class GrantEnding(DomainModel):
    """What starts the timer of one grant."""

    grant_id: GrantId
    ends_at: datetime


class GrantActivities(ABC):
    @activity.defn
    @abstractmethod
    async def end_grant(self, given: GrantEnding) -> None:
        """Changes nothing where it was revoked before."""


class RetentionActivities(ABC):
    @activity.defn
    @abstractmethod
    async def delete_old_executions(self) -> int:
        """How many rows of the log were older than the review policy allows. Heartbeats."""


class ProbationInput(DomainModel):
    """What starts a probation workflow."""

    release_id: ReleaseId
    until: datetime | None = None
    """``None``: it has no end in time."""


class EndProbation(DomainModel):
    release_id: ReleaseId
    at: datetime
    """The workflow's time."""


class EndedProbation(DomainModel):
    over: bool
    """``False``: it goes on."""
    reopened: RequestDraft | None = None
    """A request for the same version, to be opened now; ``None``: none is due."""
    workflow_id: str = ""
    """Of that request."""


class CloseProbation(DomainModel):
    release_id: ReleaseId


class ProbationActivities(ABC):
    """Every one is a single transaction and safe to run twice."""

    @activity.defn
    @abstractmethod
    async def end_probation(self, given: EndProbation) -> EndedProbation:
        """Withdraws the tool if it is over and nobody did so yet; what is to be asked then."""

    @activity.defn
    @abstractmethod
    async def close_probation(self, given: CloseProbation) -> None:
        """Nothing is left to do."""


class EvidenceActivities(ABC):
    """Checks; each writes its evidence itself, bound to the digest, and may be run again."""

    @activity.defn
    @abstractmethod
    async def examine_source(self, given: Examination) -> None:
        """What can be said by reading: needs, findings, claims, differences to what is released."""

    @activity.defn
    @abstractmethod
    async def try_out(self, given: Examination) -> None:
        """Run the code in the sandbox: what it answers, what it reaches. Heartbeats."""
