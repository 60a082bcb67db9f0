"""Who may let calls share a process."""

import pytest

from mcpbox.domain.people import SYSTEM, Principal, PrincipalKind, Role, Scope
from mcpbox.policies.servers import may_set_isolation


def a_person(*roles: Role) -> Principal:
    return Principal(kind=PrincipalKind.PERSON, name="ana", roles=frozenset(roles))


def test_an_admin_may() -> None:
    assert may_set_isolation(a_person(Role.ADMIN))


def test_no_other_role_is_enough() -> None:
    others = [role for role in Role if role is not Role.ADMIN]

    assert "needs the role admin" in may_set_isolation(a_person(*others)).reason


@pytest.mark.parametrize("kind", [PrincipalKind.CLIENT, PrincipalKind.SYSTEM])
def test_i3_whatever_a_client_claims_to_be_it_never_may(kind: PrincipalKind) -> None:
    claiming = SYSTEM.model_copy(
        update={"kind": kind, "roles": frozenset(Role), "scopes": frozenset(Scope)}
    )

    assert "Only people" in may_set_isolation(claiming).reason
