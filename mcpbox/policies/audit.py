"""Who reads the audit log; nobody writes it but the use cases themselves."""

from mcpbox.domain.errors import Refused
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.policies.ruling import ALLOWED, Ruling

READING_ROLES = frozenset({Role.AUDITOR, Role.ADMIN})


def may_read_audit(principal: Principal) -> Ruling:
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people read the audit log."))
    if not principal.roles & READING_ROLES:
        return Ruling(
            Refused("Reading the audit log needs the role auditor or admin; ask an admin for it.")
        )
    return ALLOWED
