"""May tools and servers be changed over this line? What may run at all, people decide."""

import ipaddress

from mcpbox.domain.errors import Refused
from mcpbox.domain.review_policy import RemoteEditing, SecuritySettings
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_edit(settings: SecuritySettings, *, remote: bool) -> Ruling:
    if not remote or settings.remote_tool_editing is RemoteEditing.ENABLED:
        return ALLOWED
    return Ruling(
        Refused(
            "Tools and servers cannot be changed from outside: connect from this network, or have "
            "an admin set remote_tool_editing to enabled in the review policy."
        )
    )


def is_remote(peer: str | None, *, forwarded: bool) -> bool:
    """Whether a request comes from outside; in doubt it does.

    ``peer``: the address of the other end. ``forwarded``: a proxy or a tunnel stands between, as
    it says itself, so that the address is its own.
    """
    if forwarded or peer is None:
        return True
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return True
    plain = getattr(address, "ipv4_mapped", None) or address
    return not (plain.is_loopback or (plain.is_private and not plain.is_unspecified))
