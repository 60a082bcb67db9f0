"""Who makes accounts, gives roles and takes them; every face asks here."""

from collections.abc import Set

from mcpbox.domain.errors import Conflict, Refused
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_manage_people(principal: Principal) -> Ruling:
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people manage people; a client or a token never does."))
    if Role.ADMIN not in principal.roles:
        return Ruling(Refused("Managing people needs the role admin; ask an admin for it."))
    return ALLOWED


def may_change_person(
    principal: Principal,
    username: str,
    *,
    roles: Set[Role],
    active: bool,
    admins: Set[str],
) -> Ruling:
    """Whether ``username`` may become active or not, with these roles.

    ``admins``: user names of the active ones now. The principal has to be one of them still:
    what it signed in with may be older.
    """
    if not (may := may_manage_people(principal)):
        return may
    if principal.name not in admins:
        return Ruling(Refused("You are no longer an active admin."))
    if username not in admins or (active and Role.ADMIN in roles):
        return ALLOWED
    if len(admins) == 1:
        return Ruling(
            Conflict(f"{username!r} is the last active admin; make somebody else one first.")
        )
    if username == principal.name:
        return Ruling(
            Refused("Nobody takes their own role admin or account away; another admin does that.")
        )
    return ALLOWED
