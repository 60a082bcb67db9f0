"""Who sets and deletes the values of secrets: people alone."""

from mcpbox.domain.errors import Refused
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_keep_secrets(principal: Principal) -> Ruling:
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people set and delete the values of secrets."))
    if not principal.roles & {Role.OPERATOR, Role.ADMIN}:
        return Ruling(
            Refused("Values of secrets need the role operator or admin; ask an admin for it.")
        )
    return ALLOWED
