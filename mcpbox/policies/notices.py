"""Who may say where notifications go, and where they may go."""

import re
from urllib.parse import urlsplit

from mcpbox.domain.errors import Invalid, Refused
from mcpbox.domain.notices import TargetDraft, TargetKind
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.policies.ruling import ALLOWED, Ruling

_MAIL = re.compile(r"[^\s@,<>\"]+@[^\s@,<>\"]+\.[^\s@,<>\"]+")
_MOST_MAIL = 20


def may_set_targets(principal: Principal) -> Ruling:
    """Whoever chooses the target learns of every request, so it is an admin's choice."""
    if principal.kind is not PrincipalKind.PERSON or Role.ADMIN not in principal.roles:
        return Ruling(Refused("Choosing where notifications go needs the role admin."))
    return ALLOWED


def shown_of(draft: TargetDraft) -> str:
    """What of its address is no secret. Raises: Invalid."""
    given = draft.address.get_secret_value().strip()
    if draft.kind is TargetKind.EMAIL:
        addresses = [part.strip() for part in given.split(",")]
        if len(addresses) > _MOST_MAIL or not all(map(_MAIL.fullmatch, addresses)):
            raise Invalid("address: give mail addresses, separated by commas, 20 at most.")
        return ", ".join(addresses)
    try:
        parts = urlsplit(given)
        usable = parts.hostname and parts.port != 0 and given.isprintable() and " " not in given
    except ValueError:
        parts, usable = urlsplit(""), False
    schemes = ("https", "http") if draft.private else ("https",)
    if not usable or parts.scheme not in schemes or parts.username is not None:
        raise Invalid(
            "address: give an address that begins with https://, without a user name; http:// and "
            "private networks need the consent 'private'."
        )
    return parts.netloc
