"""Who may decide, end or withdraw a request. Every path to a decision calls :func:`may_decide`."""

from collections.abc import Iterable

from mcpbox.domain.base import DomainModel
from mcpbox.domain.errors import Conflict, Invalid, Refused, RequestFinished, StaleDigest
from mcpbox.domain.ids import Digest
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.requests import DecisionDraft, State, Verdict
from mcpbox.policies.ruling import ALLOWED, Ruling

REVIEWING_ROLES = frozenset({Role.REVIEWER, Role.ADMIN})


class RequestFacts(DomainModel):
    """The facts of a request that the rules look at."""

    state: State
    digest: Digest
    requester: str


def may_decide(request: RequestFacts, principal: Principal, draft: DecisionDraft) -> Ruling:
    """The one rule of invariant I4: may this principal decide this request now?

    A person may decide what their own client asked for (ADR 0013). A rule of the policy decides
    what has just been presented, and nothing else about it is easier.
    """
    by_rule = principal.kind is PrincipalKind.POLICY
    if not by_rule and principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people decide requests; a client or a token never does."))
    if by_rule and request.state is State.CHANGES_REQUESTED:
        return Ruling(Refused("People have begun to decide it; a rule no longer does."))
    if not by_rule and not principal.roles & REVIEWING_ROLES:
        return Ruling(Refused("Deciding needs the role reviewer or admin; ask an admin for it."))
    if request.state is State.GATHERING:
        return Ruling(Conflict("The evidence is still being gathered; wait until it is complete."))
    if not request.state.decidable:
        return Ruling(RequestFinished(request.state))
    if draft.seen_digest != request.digest:
        return Ruling(StaleDigest())
    if draft.verdict is not Verdict.APPROVE and not draft.reason.strip():
        return Ruling(Invalid("Give a reason: the author has to know what to do differently."))
    return ALLOWED


def may_withdraw(request: RequestFacts, principal: Principal) -> Ruling:
    """The requester, an admin, or the system may end a request that nobody has decided yet."""
    if request.state.terminal or request.state in (State.APPROVED, State.APPLYING):
        return Ruling(RequestFinished(request.state))
    own = principal.label == request.requester
    if own or Role.ADMIN in principal.roles or principal.kind is PrincipalKind.SYSTEM:
        return ALLOWED
    return Ruling(Refused("Only its requester or an admin withdraws a request."))


def tally(verdicts: Iterable[Verdict], quorum: int) -> State:
    """Where the newest vote of each reviewer leads; one denial outweighs any approvals."""
    votes = list(verdicts)
    if Verdict.DENY in votes:
        return State.DENIED
    if Verdict.REQUEST_CHANGES in votes:
        return State.CHANGES_REQUESTED
    approvals = votes.count(Verdict.APPROVE)
    return State.APPROVED if approvals >= quorum else State.AWAITING_DECISION
