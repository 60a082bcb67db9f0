"""Who may decide, end, revise or withdraw a request. Every decision passes :func:`may_decide`."""

from collections.abc import Iterable

from mcpbox.domain.base import DomainModel
from mcpbox.domain.decisions import BREAK_GLASS_REASON_MIN_LENGTH, Channel, Decision, DecisionDraft
from mcpbox.domain.errors import Conflict, Invalid, Refused, RequestFinished, StaleDigest
from mcpbox.domain.evidence import Risk
from mcpbox.domain.ids import Digest
from mcpbox.domain.manifests import Needs
from mcpbox.domain.people import Delegator, Principal, PrincipalKind, Role
from mcpbox.domain.requests import RequestDetail, ReviewAfterwards, State
from mcpbox.domain.review import ReviewTerms, Separation
from mcpbox.domain.subjects import Kind
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.ruling import ALLOWED, Ruling

REVIEWING_ROLES = frozenset({Role.REVIEWER, Role.ADMIN})


class RequestFacts(DomainModel):
    """The facts of a request that the rules look at."""

    state: State
    digest: Digest
    requester: str
    terms: ReviewTerms = ReviewTerms()
    authors: frozenset[str] = frozenset()
    """Labels of those who made the request or wrote its version."""
    owners: frozenset[str] = frozenset()
    """User names of the people whose clients these are."""
    escalated: bool = False
    needs: Needs = Needs()
    grants_alone: bool = False
    """It is about a grant: there are no needs, and all of it is granted."""
    voted: frozenset[str] = frozenset()
    """User names of those who voted themselves in this round."""


def facts_of(request: RequestDetail) -> RequestFacts:
    return RequestFacts(
        state=request.state,
        digest=request.digest,
        requester=request.requester,
        terms=request.terms or ReviewTerms(),
        authors=request.authors,
        owners=request.owners,
        escalated=request.escalated,
        needs=request.needs,
        grants_alone=request.kind.grants,
        voted=who_voted(request.decisions, request.round),
    )


def may_decide(
    request: RequestFacts,
    principal: Principal,
    draft: DecisionDraft,
    channel: Channel | None = None,
) -> Ruling:
    """The one rule of invariant I4: may this principal decide this request now?

    A person may decide what their own client asked for (ADR 0013), unless the terms of the
    request separate duties. A rule of the policy decides what has just been presented, and
    nothing else about it is easier.
    """
    by_rule = principal.kind is PrincipalKind.POLICY
    if not by_rule and principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people decide requests; a client or a token never does."))
    if by_rule and request.state is State.CHANGES_REQUESTED:
        return Ruling(Refused("People have begun to decide it; a rule no longer does."))
    who = ALLOWED if by_rule else _who_decides(request, principal, draft, channel)
    if not who:
        return who
    if request.state is State.GATHERING:
        return Ruling(Conflict("The evidence is still being gathered; wait until it is complete."))
    if not request.state.decidable:
        return Ruling(RequestFinished(request.state))
    if draft.seen_digest != request.digest:
        return Ruling(StaleDigest())
    return _is_well_said(request, draft)


def _who_decides(
    request: RequestFacts, principal: Principal, draft: DecisionDraft, channel: Channel | None
) -> Ruling:
    if draft.break_glass:
        return _may_force(principal, draft, channel)
    return _may(request, principal)


def may_vote(request: RequestFacts, principal: Principal) -> Ruling:
    """Whether it is this person's to decide, whatever they would say; for showing it in advance."""
    return _may(request, principal)


def in_whose_right(request: RequestFacts, principal: Principal) -> str | None:
    """User name of the person whose right to decide is used: one's own before a deputy's."""
    if _has_role(request, principal):
        return principal.name
    return next((away.name for away in principal.stands_in_for if _counts_for(request, away)), None)


def may_repeat(earlier: Decision, reviewer: str, draft: DecisionDraft) -> Ruling:
    """What is sent again under its id is answered again; the id stands for nothing else.

    ``reviewer``: user name of whoever sends it now.
    """
    if (earlier.reviewer, earlier.verdict, earlier.seen_digest) == (
        reviewer,
        draft.verdict,
        draft.seen_digest,
    ):
        return ALLOWED
    return Ruling(Conflict("Another decision has this id already; choose a new one."))


def may_retract(request: RequestFacts, principal: Principal) -> Ruling:
    """Whether there is a vote to take back is known where the votes are."""
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people have votes; a client or a token never does."))
    if not request.state.decidable:
        return Ruling(RequestFinished(request.state))
    return ALLOWED


def may_withdraw(request: RequestFacts, principal: Principal) -> Ruling:
    """The requester, an admin, or the system may end a request that nobody has decided yet."""
    if request.state.terminal or request.state in (State.APPROVED, State.APPLYING):
        return Ruling(RequestFinished(request.state))
    own = principal.label == request.requester
    if own or Role.ADMIN in principal.roles or principal.kind is PrincipalKind.SYSTEM:
        return ALLOWED
    return Ruling(Refused("Only its requester or an admin withdraws a request."))


def may_revise(request: RequestFacts, principal: Principal, digest: Digest) -> Ruling:
    """The requester may ask for a newer version instead, while people can still decide."""
    if principal.label != request.requester:
        return Ruling(Refused("Only its requester revises a request; ask for one of your own."))
    if request.state is State.GATHERING:
        return Ruling(Conflict("The evidence is still being gathered; revise it after that."))
    if not request.state.decidable:
        return Ruling(RequestFinished(request.state))
    if digest == request.digest:
        return Ruling(Conflict("Nothing differs from what is asked already; change it first."))
    return ALLOWED


def instead_of_revising(kind: Kind) -> str:
    """What its requester does where a request is about no version that could be changed."""
    match kind:
        case Kind.PUBLISH:
            return "Change the tool, then revise."
        case Kind.MODULE_GRANT:
            return (
                "A request for a module is about pinned packages, so it is not revised. Ask for "
                "the version that you want: that takes the place of this one."
            )
        case Kind.HOST_GRANT:
            return (
                "A request for a host is not revised: its digest is what is asked. Withdraw it, "
                "then ask for the host, methods, path and days that you want."
            )
        case Kind.SECRET_BINDING:
            return (
                "A request for a secret is not revised: its hosts never change. Ask for other "
                "days, which takes the place of this one; for other hosts a person deletes the "
                "secret, and you make it again."
            )
        case Kind.ROLLBACK | Kind.RESTORE:
            return (
                "A version that was released is not changed, so this is not revised. Ask for "
                "another version, which takes the place of this one; or withdraw it, and publish "
                "a newer version."
            )


def may_comment(request: RequestFacts, principal: Principal) -> Ruling:
    """People, and whoever asked; on what is closed as well, so that a thread can be finished."""
    if principal.kind is PrincipalKind.PERSON or principal.label == request.requester:
        return ALLOWED
    return Ruling(Refused("Only people and its requester comment on a request."))


def may_assign(request: RequestFacts, principal: Principal, to: Principal) -> Ruling:
    """Whoever may decide, or an admin, may ask somebody else who may decide to do it."""
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people hand a request over."))
    if not _may(request, principal) and Role.ADMIN not in principal.roles:
        return _may(request, principal)
    if request.state.terminal or request.state in (State.APPROVED, State.APPLYING):
        return Ruling(RequestFinished(request.state))
    theirs = _may(request, to)
    if not theirs:
        return Ruling(Invalid(f"{to.name!r} may not decide it: {theirs.reason}"))
    return ALLOWED


def may_approve_in_batch(risk: Risk | None) -> Ruling:
    if risk is Risk.LOW:
        return ALLOWED
    word = "of unknown risk" if risk is None else f"of {risk} risk"
    return Ruling(Refused(f"It is {word}: only requests of low risk are approved in a batch."))


def may_review_afterwards(
    request: RequestFacts,
    principal: Principal,
    status: ReviewAfterwards | None,
    forced_by: frozenset[str],
) -> Ruling:
    """Somebody else than whoever forced the approval says that they have looked at it."""
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people review; a client or a token never does."))
    if status is not ReviewAfterwards.OPEN:
        return Ruling(Conflict("Nothing about this request waits for a review afterwards."))
    if principal.name in forced_by:
        return Ruling(Refused("You forced this approval; another person has to review it."))
    return _may(request, principal)


def tally(verdicts: Iterable[Verdict], quorum: int) -> State:
    """Where the newest vote of each reviewer leads; one denial outweighs any approvals."""
    votes = list(verdicts)
    if Verdict.DENY in votes:
        return State.DENIED
    if Verdict.REQUEST_CHANGES in votes:
        return State.CHANGES_REQUESTED
    approvals = votes.count(Verdict.APPROVE)
    return State.APPROVED if approvals >= quorum else State.AWAITING_DECISION


def standing_votes(decisions: Iterable[Decision], round_number: int) -> list[Decision]:
    """The votes that count, oldest first: the newest of each person, and one for each right.

    ``decisions``: oldest first.
    """
    standing: list[Decision] = []
    for vote in decisions:
        if vote.round != round_number or vote.retracted_at is not None:
            continue
        right = vote.on_behalf_of or vote.reviewer
        standing = [
            older
            for older in standing
            if older.reviewer != vote.reviewer and (older.on_behalf_of or older.reviewer) != right
        ]
        standing.append(vote)
    return standing


def who_voted(decisions: Iterable[Decision], round_number: int) -> frozenset[str]:
    """User names of those whose own vote counts in this round."""
    votes = standing_votes(decisions, round_number)
    return frozenset(vote.reviewer for vote in votes if vote.on_behalf_of is None)


def _may(request: RequestFacts, principal: Principal) -> Ruling:
    if in_whose_right(request, principal) is None:
        return Ruling(Refused(_lacks_a_role(request.terms)))
    return _is_separate(request, principal.name)


def _has_role(request: RequestFacts, person: Principal | Delegator) -> bool:
    escalated = request.escalated and person.name in request.terms.escalate_to
    return escalated or bool(person.roles & request.terms.roles)


def _counts_for(request: RequestFacts, away: Delegator) -> bool:
    """A deputy has no right that the delegator would not have, or has used already."""
    free = away.name not in request.voted and _is_separate(request, away.name)
    return bool(free) and _has_role(request, away)


def _lacks_a_role(terms: ReviewTerms) -> str:
    roles = " or ".join(role for role in Role if role in terms.roles)
    return f"Deciding needs the role {roles}; ask an admin for it."


def _is_separate(request: RequestFacts, person: str) -> Ruling:
    separation = request.terms.separation
    if separation is not Separation.OFF and f"{PrincipalKind.PERSON}:{person}" in request.authors:
        return Ruling(Refused("You made this request or wrote its version; somebody else decides."))
    if separation is Separation.OWNER and person in request.owners:
        return Ruling(Refused("A client of yours asked for this; somebody else decides."))
    return ALLOWED


def _may_force(principal: Principal, draft: DecisionDraft, channel: Channel | None) -> Ruling:
    """Separation and quorum do not apply: that is what the review afterwards is for."""
    if Role.ADMIN not in principal.roles:
        return Ruling(Refused("Only an admin forces an approval; break-glass is not for you."))
    if channel is Channel.TEMPORAL:
        return Ruling(Refused("Break-glass needs a signed-in admin; use the panel, REST or CLI."))
    if draft.verdict is not Verdict.APPROVE:
        return Ruling(Invalid("Break-glass forces an approval; deny without it."))
    if len(draft.reason.strip()) < BREAK_GLASS_REASON_MIN_LENGTH:
        return Ruling(
            Invalid(
                f"Break-glass needs a reason of at least {BREAK_GLASS_REASON_MIN_LENGTH} "
                "characters: another person reads it afterwards."
            )
        )
    return ALLOWED


def _is_well_said(request: RequestFacts, draft: DecisionDraft) -> Ruling:
    if draft.verdict in request.terms.reasons and not draft.reason.strip():
        return Ruling(Invalid("Give a reason: the author has to know what to do differently."))
    if draft.refused and draft.verdict is not Verdict.APPROVE:
        return Ruling(Invalid("Items are refused when approving the rest; leave 'refused' out."))
    if draft.granted_days is not None and draft.verdict is not Verdict.APPROVE:
        return Ruling(Invalid("Days are granted when approving; leave 'granted_days' out."))
    if draft.granted_days is not None and not request.grants_alone and not request.needs.items:
        return Ruling(
            Invalid("It grants nothing that could end; leave 'granted_days' out, or use probation.")
        )
    unknown = sorted(set(draft.refused) - set(request.needs.items))
    if unknown:
        return Ruling(Invalid(f"The request does not need {unknown[0]!r}, so it cannot refuse it."))
    return ALLOWED
