"""Who may answer a recovery that waits. Every path to an answer calls :func:`may_resolve`."""

from mcpbox.domain.errors import Conflict, Refused
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.recovery import RecoveryState
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_resolve(state: RecoveryState, principal: Principal) -> Ruling:
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people answer a recovery; a client or a token never does."))
    if Role.ADMIN not in principal.roles:
        return Ruling(Refused("Answering a recovery needs the role admin; ask an admin for it."))
    if state is not RecoveryState.WAITING:
        return Ruling(Conflict(f"The recovery of this server is {state}; it asks for nothing."))
    return ALLOWED
