"""Who makes and revokes the credentials of MCP clients."""

from mcpbox.domain.errors import Refused
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_keep_clients(principal: Principal, owner: str) -> Ruling:
    """Admins anybody's, and everybody else their own; a client makes none."""
    if principal.kind is PrincipalKind.SYSTEM:
        return ALLOWED
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people make and revoke clients."))
    if Role.ADMIN not in principal.roles and principal.name != owner:
        return Ruling(Refused("Clients of others need the role admin; ask an admin for it."))
    return ALLOWED


def may_make_client(principal: Principal, owner: str) -> Ruling:
    """Whoever only reads gets no way to write tools or call them."""
    if not (may := may_keep_clients(principal, owner)):
        return may
    if principal.kind is PrincipalKind.PERSON and principal.roles <= _READING:
        return Ruling(Refused("The roles viewer and auditor make no clients; ask an admin."))
    return ALLOWED


_READING = frozenset({Role.VIEWER, Role.AUDITOR})
