"""Who may look into what Temporal keeps, and who may help a server back."""

from mcpbox.domain.errors import Refused
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.policies.ruling import ALLOWED, Ruling

_OPERATING = frozenset({Role.OPERATOR, Role.ADMIN})


def may_read_payloads(principal: Principal) -> Ruling:
    """What workflows were sent, which Temporal keeps encrypted."""
    if principal.kind is not PrincipalKind.PERSON or not principal.roles & _OPERATING:
        return Ruling(
            Refused("Reading what Temporal keeps needs the role operator or admin; ask an admin.")
        )
    return ALLOWED
