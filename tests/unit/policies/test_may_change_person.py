"""Who manages people, and that somebody always can."""

import pytest

from mcpbox.domain.people import SYSTEM, Principal, PrincipalKind, Role, Scope
from mcpbox.policies.people import may_change_person, may_manage_people

ADA = Principal(kind=PrincipalKind.PERSON, name="ada", roles=frozenset({Role.ADMIN}))
BOTH = frozenset({"ada", "eve"})
ADMIN = frozenset({Role.ADMIN})
VIEWER = frozenset({Role.VIEWER})


def test_an_admin_changes_others() -> None:
    assert may_change_person(ADA, "vic", roles=ADMIN, active=True, admins=BOTH)
    assert may_change_person(ADA, "vic", roles=VIEWER, active=False, admins=BOTH)
    assert may_change_person(ADA, "eve", roles=VIEWER, active=True, admins=BOTH)
    assert may_change_person(ADA, "eve", roles=ADMIN, active=False, admins=BOTH)


def test_no_other_role_is_enough() -> None:
    others = ADA.model_copy(update={"roles": frozenset(Role) - {Role.ADMIN}})

    assert "needs the role admin" in may_manage_people(others).reason


@pytest.mark.parametrize("kind", [PrincipalKind.CLIENT, PrincipalKind.SYSTEM, PrincipalKind.POLICY])
def test_i3_whatever_a_client_claims_to_be_it_manages_nobody(kind: PrincipalKind) -> None:
    claiming = SYSTEM.model_copy(
        update={"kind": kind, "roles": frozenset(Role), "scopes": frozenset(Scope)}
    )

    ruling = may_change_person(claiming, "vic", roles=VIEWER, active=True, admins=BOTH)

    assert "Only people" in ruling.reason


@pytest.mark.parametrize(("roles", "active"), [(VIEWER, True), (ADMIN, False)])
def test_nobody_takes_their_own_role_or_account_away(roles: frozenset[Role], active: bool) -> None:
    ruling = may_change_person(ADA, "ada", roles=roles, active=active, admins=BOTH)

    assert "another admin does that" in ruling.reason


@pytest.mark.parametrize(("roles", "active"), [(VIEWER, True), (ADMIN, False)])
def test_the_last_active_admin_stays_one(roles: frozenset[Role], active: bool) -> None:
    ruling = may_change_person(ADA, "ada", roles=roles, active=active, admins=frozenset({"ada"}))

    assert "last active admin" in ruling.reason


def test_whoever_stopped_being_an_admin_meanwhile_changes_nobody() -> None:
    """Two of them put each other out at once: the second one comes too late."""
    ruling = may_change_person(ADA, "eve", roles=VIEWER, active=True, admins=frozenset({"eve"}))

    assert "no longer" in ruling.reason


def test_an_admin_may_keep_the_role_and_change_the_others_of_their_own() -> None:
    assert may_change_person(
        ADA, "ada", roles=ADMIN | VIEWER, active=True, admins=frozenset({"ada"})
    )
