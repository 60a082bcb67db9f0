from uuid import uuid4

import pytest

from mcpbox.domain.errors import Conflict, Invalid, Refused, RequestFinished, StaleDigest
from mcpbox.domain.ids import DecisionId
from mcpbox.domain.people import SYSTEM, Principal, PrincipalKind, Role
from mcpbox.domain.requests import TERMINAL, DecisionDraft, State, Verdict
from mcpbox.policies.review import RequestFacts, may_decide, may_withdraw, tally
from tests.factories import DIGEST, OTHER_DIGEST

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
