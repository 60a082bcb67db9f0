"""Who adds external sources and imports from them, and who opens a private network to one."""

import pytest

from mcpbox.domain.people import SYSTEM, Principal, PrincipalKind, Role, Scope
from mcpbox.policies.external_sources import may_allow_private, may_keep_sources


def person(*roles: Role) -> Principal:
    return Principal(kind=PrincipalKind.PERSON, name="ana", roles=frozenset(roles))


def client(*scopes: Scope) -> Principal:
    return Principal(
        kind=PrincipalKind.CLIENT,
        name="laptop",
        # Whatever it claims: roles are of people.
        roles=frozenset(Role),
        scopes=frozenset(scopes),
    )


@pytest.mark.parametrize(
    ("principal", "keeps", "opens"),
    [
        (person(Role.ADMIN), True, True),
        (person(Role.OPERATOR), True, False),
        (person(Role.VIEWER, Role.REVIEWER, Role.AUDITOR), False, False),
        (client(Scope.AUTHOR), True, False),
        (client(Scope.CALL), False, False),
        (SYSTEM, False, False),
    ],
)
def test_each_does_exactly_this(principal: Principal, keeps: bool, opens: bool) -> None:
    assert bool(may_keep_sources(principal)) is keeps
    assert bool(may_allow_private(principal)) is opens
