"""Who may change how a server's tools are run."""

from mcpbox.domain.errors import Refused
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_set_isolation(principal: Principal) -> Ruling:
    """It decides what calls can see of each other, so no client ever does."""
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people choose how a server's calls are isolated."))
    if Role.ADMIN not in principal.roles:
        return Ruling(
            Refused("Choosing how calls are isolated needs the role admin; ask an admin for it.")
        )
    return ALLOWED
