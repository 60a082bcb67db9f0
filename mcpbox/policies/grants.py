"""Who takes back what was granted (I9): it narrows, so it needs no approval."""

from mcpbox.domain.errors import Conflict, Invalid, Refused
from mcpbox.domain.grants import Grant, GrantState
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.policies.ruling import ALLOWED, Ruling

REVOKING_ROLES = frozenset({Role.REVIEWER, Role.OPERATOR, Role.ADMIN})


def may_revoke(principal: Principal, grant: Grant, reason: str) -> Ruling:
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people revoke grants."))
    if not principal.roles & REVOKING_ROLES:
        return Ruling(
            Refused("Revoking needs the role reviewer, operator or admin; ask an admin for it.")
        )
    if grant.state is not GrantState.LIVE:
        return Ruling(Conflict(f"This grant is {grant.state}; there is nothing to revoke."))
    if not reason.strip():
        return Ruling(Invalid("Give a reason to revoke it; it is kept in the audit log."))
    return ALLOWED
