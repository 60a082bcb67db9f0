from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from mcpbox.domain.decisions import Channel, Decision, DecisionDraft
from mcpbox.domain.errors import Conflict, Invalid, Refused, RequestFinished, StaleDigest
from mcpbox.domain.evidence import Risk
from mcpbox.domain.ids import DecisionId, RequestId
from mcpbox.domain.manifests import Needs
from mcpbox.domain.people import SYSTEM, Delegator, Principal, PrincipalKind, Role
from mcpbox.domain.requests import TERMINAL, State
from mcpbox.domain.review import ReviewTerms, Separation
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.review import (
    RequestFacts,
    in_whose_right,
    may_approve_in_batch,
    may_decide,
    may_withdraw,
    standing_votes,
    tally,
)
from tests.factories import DIGEST, NOW, OTHER_DIGEST

ANA = Principal(kind=PrincipalKind.PERSON, name="ana", roles=frozenset({Role.REVIEWER}))
LAPTOP = Principal(kind=PrincipalKind.CLIENT, name="laptop", roles=frozenset({Role.ADMIN}))
DRAFT = DecisionDraft(id=DecisionId(uuid4()), verdict=Verdict.APPROVE, seen_digest=DIGEST)


def facts(state: State = State.AWAITING_DECISION) -> RequestFacts:
    return RequestFacts(state=state, digest=DIGEST, requester=LAPTOP.label)


def test_a_reviewer_decides_what_waits() -> None:
    assert may_decide(facts(), ANA, DRAFT)
    assert may_decide(facts(State.CHANGES_REQUESTED), ANA, DRAFT)


def test_i3_a_client_never_decides_whatever_roles_it_claims() -> None:
    assert isinstance(may_decide(facts(), LAPTOP, DRAFT).refusal, Refused)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.AUDITOR])
def test_other_roles_do_not_decide(role: Role) -> None:
    person = ANA.model_copy(update={"roles": frozenset({role})})

    assert isinstance(may_decide(facts(), person, DRAFT).refusal, Refused)


@pytest.mark.parametrize("state", [*sorted(TERMINAL), State.APPROVED, State.APPLYING])
def test_i2_what_is_decided_is_not_decided_again(state: State) -> None:
    assert isinstance(may_decide(facts(state), ANA, DRAFT).refusal, RequestFinished)
    assert isinstance(may_withdraw(facts(state), ANA).refusal, RequestFinished)


def test_nothing_is_decided_before_the_evidence_is_there() -> None:
    assert isinstance(may_decide(facts(State.GATHERING), ANA, DRAFT).refusal, Conflict)


def test_a_decision_on_another_digest_is_stale() -> None:
    stale = DRAFT.model_copy(update={"seen_digest": OTHER_DIGEST})

    assert isinstance(may_decide(facts(), ANA, stale).refusal, StaleDigest)


@pytest.mark.parametrize("verdict", [Verdict.DENY, Verdict.REQUEST_CHANGES])
def test_a_refusal_needs_a_reason(verdict: Verdict) -> None:
    silent = DRAFT.model_copy(update={"verdict": verdict, "reason": " \n"})

    assert isinstance(may_decide(facts(), ANA, silent).refusal, Invalid)


def test_the_requester_an_admin_and_the_system_withdraw() -> None:
    admin = ANA.model_copy(update={"roles": frozenset({Role.ADMIN})})

    assert may_withdraw(facts(), LAPTOP)
    assert may_withdraw(facts(), admin)
    assert may_withdraw(facts(), SYSTEM)
    assert not may_withdraw(facts(), ANA)


@pytest.mark.parametrize(
    ("verdicts", "quorum", "state"),
    [
        ([Verdict.APPROVE], 1, State.APPROVED),
        ([Verdict.APPROVE], 2, State.AWAITING_DECISION),
        ([Verdict.APPROVE, Verdict.DENY], 1, State.DENIED),
        ([Verdict.APPROVE, Verdict.REQUEST_CHANGES], 1, State.CHANGES_REQUESTED),
        ([], 1, State.AWAITING_DECISION),
    ],
)
def test_one_denial_outweighs_any_approvals(
    verdicts: list[Verdict], quorum: int, state: State
) -> None:
    assert tally(verdicts, quorum) is state


AWAY = Delegator(name="ana", roles=frozenset({Role.REVIEWER}))
BEN = Principal(kind=PrincipalKind.PERSON, name="ben", roles=frozenset({Role.VIEWER}))


def asked(separation: Separation = Separation.OFF, **more: Any) -> RequestFacts:
    return facts().model_copy(
        update={
            "terms": ReviewTerms(separation=separation, escalate_to=("ben",)),
            "authors": frozenset({LAPTOP.label, "person:wim"}),
            "owners": frozenset({"ana"}),
            **more,
        }
    )


@pytest.mark.parametrize(
    ("separation", "who", "allowed"),
    [
        (Separation.OFF, "wim", True),
        (Separation.OFF, "ana", True),
        (Separation.AUTHOR, "wim", False),
        (Separation.AUTHOR, "ana", True),
        (Separation.OWNER, "wim", False),
        (Separation.OWNER, "ana", False),
        (Separation.OWNER, "eva", True),
    ],
)
def test_duties_are_separated_as_far_as_the_terms_say(
    separation: Separation, who: str, *, allowed: bool
) -> None:
    assert (
        bool(may_decide(asked(separation), ANA.model_copy(update={"name": who}), DRAFT)) == allowed
    )


def test_the_terms_name_the_roles_that_decide() -> None:
    only_admins = asked(terms=ReviewTerms(roles=frozenset({Role.ADMIN})))

    assert not may_decide(only_admins, ANA, DRAFT)
    assert may_decide(only_admins, ANA.model_copy(update={"roles": frozenset({Role.ADMIN})}), DRAFT)


def test_whom_it_is_escalated_to_decides_once_it_is() -> None:
    assert not may_decide(asked(), BEN, DRAFT)
    assert may_decide(asked(escalated=True), BEN, DRAFT)


def test_a_deputy_has_the_right_of_who_is_away_unless_it_is_used_or_separated() -> None:
    deputy = BEN.model_copy(update={"stands_in_for": (AWAY,)})

    assert in_whose_right(asked(), deputy) == "ana"
    assert not may_decide(asked(voted=frozenset({"ana"})), deputy, DRAFT)
    assert not may_decide(asked(Separation.OWNER), deputy, DRAFT)
    own = deputy.model_copy(update={"roles": frozenset({Role.REVIEWER})})
    assert in_whose_right(asked(), own) == "ben"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"reason": "Because it is urgent."}, None),
        ({"reason": " too short "}, Invalid),
        ({"reason": "Because it is urgent.", "verdict": Verdict.DENY}, Invalid),
        ({"reason": "Because it is urgent.", "seen_digest": OTHER_DIGEST}, StaleDigest),
    ],
)
def test_break_glass_is_an_approval_with_a_reason(
    changes: dict[str, Any], kind: type[Exception] | None
) -> None:
    admin = ANA.model_copy(update={"roles": frozenset({Role.ADMIN}), "name": "wim"})
    draft = DRAFT.model_copy(update={"break_glass": True, **changes})

    refusal = may_decide(asked(Separation.OWNER), admin, draft).refusal

    assert refusal is None if kind is None else isinstance(refusal, kind)
    assert not may_decide(asked(), admin, draft, Channel.TEMPORAL)
    assert not may_decide(asked(), ANA, draft)


def a_vote(reviewer: str, verdict: Verdict = Verdict.APPROVE, **more: Any) -> Decision:
    return Decision(
        id=DecisionId(uuid4()),
        verdict=verdict,
        seen_digest=DIGEST,
        request_id=RequestId(uuid4()),
        reviewer=reviewer,
        channel=Channel.API,
        decided_at=NOW,
        **more,
    )


def test_the_newest_vote_of_each_person_and_of_each_right_counts() -> None:
    changed_mind = [a_vote("ana", Verdict.REQUEST_CHANGES), a_vote("ana")]
    for_ana = a_vote("ben", on_behalf_of="ana")

    assert standing_votes(changed_mind, 1) == changed_mind[1:]
    assert standing_votes([for_ana, a_vote("eva"), a_vote("ana")], 1)[0].reviewer == "eva"
    assert len(standing_votes([for_ana, a_vote("ben")], 1)) == 1
    assert standing_votes([a_vote("ana", round=1), a_vote("ben", retracted_at=NOW)], 2) == []


@pytest.mark.parametrize("risk", [None, *Risk])
def test_only_what_is_of_low_risk_is_approved_in_a_batch(risk: Risk | None) -> None:
    assert bool(may_approve_in_batch(risk)) == (risk is Risk.LOW)


def test_days_are_granted_where_something_is_and_with_an_approval_alone() -> None:
    a_week = DRAFT.model_copy(update={"granted_days": 7})
    denied = a_week.model_copy(update={"verdict": Verdict.DENY, "reason": "No."})
    of_a_grant = facts().model_copy(update={"grants_alone": True})
    of_a_bundle = facts().model_copy(update={"needs": Needs(hosts=("api.example.com",))})

    assert may_decide(of_a_grant, ANA, a_week)
    assert may_decide(of_a_bundle, ANA, a_week)
    assert "grants nothing" in may_decide(facts(), ANA, a_week).reason
    assert "when approving" in may_decide(of_a_grant, ANA, denied).reason


@pytest.mark.parametrize("days", [0, 366])
def test_nobody_grants_for_less_than_a_day_or_more_than_a_year(days: int) -> None:
    with pytest.raises(ValidationError, match="granted_days"):
        DecisionDraft.model_validate(DRAFT.model_dump() | {"granted_days": days})
