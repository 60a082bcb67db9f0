"""Who may throw which switch, and that a person's narrowing outranks a client's."""

import pytest

from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Conflict, Invalid, Refused
from mcpbox.domain.narrowing import Narrowing, Standing, Switch
from mcpbox.domain.people import SYSTEM, Principal, PrincipalKind, Role, Scope
from mcpbox.policies.narrowing import may_run_drafts, may_switch, outranks

NOTHING = Standing(noun="server 'books'")
WHY = "It leaks."


def person(*roles: Role) -> Principal:
    return Principal(kind=PrincipalKind.PERSON, name="ana", roles=frozenset(roles))


AUTHOR = Principal(
    kind=PrincipalKind.CLIENT,
    name="laptop",
    # Whatever it claims: roles are of people.
    roles=frozenset(Role),
    scopes=frozenset({Scope.AUTHOR}),
)
CALLER = AUTHOR.model_copy(update={"scopes": frozenset({Scope.CALL})})


def by(principal: Principal) -> Narrowing:
    return Narrowing(by=principal.label, at=utc_now(), reason=WHY)


def allowed(principal: Principal) -> str:
    """The switches, in the order of the enumeration, while nothing stands against any."""
    quarantined = NOTHING.model_copy(update={"quarantine": by(person())})
    standings = {Switch.LIFT: quarantined}
    return " ".join(
        switch
        for switch in Switch
        if may_switch(principal, switch, standings.get(switch, NOTHING), WHY)
    )


@pytest.mark.parametrize(
    ("principal", "switches"),
    [
        (person(Role.ADMIN), "stop start disable enable revoke quarantine lift delete"),
        (person(Role.OPERATOR), "stop start disable enable revoke quarantine delete"),
        (person(Role.VIEWER, Role.REVIEWER, Role.AUDITOR), ""),
        (AUTHOR, "stop start disable enable delete"),
        (CALLER, ""),
        (SYSTEM, "stop disable revoke quarantine delete"),
    ],
)
def test_each_throws_exactly_these_switches(principal: Principal, switches: str) -> None:
    assert allowed(principal) == switches


@pytest.mark.parametrize("switch", [Switch.START, Switch.ENABLE])
def test_i9_a_client_does_not_undo_what_a_person_or_the_system_did(switch: Switch) -> None:
    for principal in (person(Role.OPERATOR), SYSTEM):
        standing = NOTHING.model_copy(update={"off": by(principal)})

        assert "A client does not undo that" in may_switch(AUTHOR, switch, standing).reason
        assert may_switch(person(Role.OPERATOR), switch, standing)
    assert may_switch(AUTHOR, switch, NOTHING.model_copy(update={"off": by(AUTHOR)}))


@pytest.mark.parametrize("switch", [Switch.START, Switch.ENABLE])
@pytest.mark.parametrize("principal", [AUTHOR, person(Role.ADMIN)])
def test_i9_nothing_widens_while_a_quarantine_stands(principal: Principal, switch: Switch) -> None:
    standing = NOTHING.model_copy(update={"quarantine": by(person())})

    assert isinstance(may_switch(principal, switch, standing, WHY).refusal, Conflict)
    assert may_switch(principal, Switch.STOP, standing)


def test_i9_what_people_took_out_of_use_no_client_deletes() -> None:
    stopped = NOTHING.model_copy(update={"off": by(person(Role.OPERATOR))})
    quarantined = NOTHING.model_copy(update={"quarantine": by(person(Role.OPERATOR))})

    for standing in (stopped, quarantined):
        assert isinstance(may_switch(AUTHOR, Switch.DELETE, standing).refusal, Refused)
        assert may_switch(person(Role.ADMIN), Switch.DELETE, standing)
    assert may_switch(person(Role.OPERATOR), Switch.DELETE, stopped)
    assert not may_switch(person(Role.OPERATOR), Switch.DELETE, quarantined)
    assert may_switch(AUTHOR, Switch.DELETE, NOTHING.model_copy(update={"off": by(AUTHOR)}))


@pytest.mark.parametrize("switch", [Switch.REVOKE, Switch.QUARANTINE, Switch.LIFT])
def test_what_is_hard_to_undo_needs_a_reason(switch: Switch) -> None:
    refusal = may_switch(person(Role.ADMIN), switch, NOTHING, " \n").refusal

    assert isinstance(refusal, Invalid)


def test_there_is_nothing_to_lift_where_nothing_is_quarantined() -> None:
    refusal = may_switch(person(Role.ADMIN), Switch.LIFT, NOTHING, WHY).refusal

    assert isinstance(refusal, Conflict)


def test_a_quarantine_stops_trials_too_and_a_stop_does_not() -> None:
    stopped = NOTHING.model_copy(update={"off": by(person())})
    quarantined = NOTHING.model_copy(update={"quarantine": by(person())})

    assert may_run_drafts(stopped, NOTHING)
    assert "Nothing of it runs" in may_run_drafts(NOTHING, quarantined).reason


def test_a_persons_word_takes_the_place_of_a_clients_and_not_the_other_way() -> None:
    assert outranks(person(), by(AUTHOR))
    assert not outranks(AUTHOR, by(person()))
    assert not outranks(AUTHOR, by(AUTHOR))
    assert not outranks(person(), by(person()))
