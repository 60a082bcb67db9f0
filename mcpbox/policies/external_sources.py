"""May a source be reached now, who adds one, and who says that its address may be private?"""

from collections.abc import Collection
from datetime import datetime

from mcpbox.domain.errors import Refused
from mcpbox.domain.manifests import Granted
from mcpbox.domain.people import Principal, PrincipalKind, Role, Scope
from mcpbox.domain.upstreams import Endpoint, HttpEndpoint
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_reach(
    endpoint: Endpoint,
    granted: Granted,
    held_secrets: Collection[str],
    now: datetime,
    *,
    allow_private: bool,
    quarantined: bool,
) -> Ruling:
    """Asked before every connection, to list or to call: all that it needs is granted and set.

    ``held_secrets``: names of the server's secrets that have a value and are bound to the host.
    """
    if quarantined:
        return Ruling(Refused("The server is quarantined; an admin has to lift that first."))
    held = granted.live_at(now)
    if not isinstance(endpoint, HttpEndpoint):
        module = endpoint.manifest.modules[0]
        if module not in held.modules:
            return Ruling(
                Refused(
                    f"Its module {module!r} is not granted to the server; ask for it on the page "
                    "of the source, or with mcpbox_request_module."
                )
            )
        return ALLOWED
    if not endpoint.secure and not allow_private:
        return Ruling(
            Refused(
                "Its address is not https; an admin can consent to that, in the panel or with "
                "'mcpbox sources allow-private'."
            )
        )
    if not endpoint.access.allowed_by(held.hosts):
        return Ruling(
            Refused(
                f"Its host {endpoint.access.authority} is not granted to the server, with the "
                f"methods and the path it needs ({endpoint.access}); ask for it on the page of the "
                "source, or with mcpbox_request_network_access."
            )
        )
    name = endpoint.secret_name
    if name is not None and name not in held.secrets:
        return Ruling(
            Refused(
                f"The server may not use the secret {name!r}; ask for it on the page of the "
                "source, or with mcpbox_request_secret."
            )
        )
    if name is not None and name not in held_secrets:
        return Ruling(
            Refused(
                f"The secret {name!r} has no value yet; a person sets it in the panel, or connects "
                "the source there where it asks for OAuth."
            )
        )
    return ALLOWED


def may_keep_sources(principal: Principal) -> Ruling:
    """Adding one and importing from it opens nothing by itself: people are asked for the rest."""
    if principal.kind is PrincipalKind.CLIENT:
        if Scope.AUTHOR not in principal.scopes:
            return Ruling(Refused("This client's token lacks the scope 'author'."))
        return ALLOWED
    if not principal.roles & {Role.OPERATOR, Role.ADMIN}:
        return Ruling(
            Refused("External sources need the role operator or admin; ask an admin for it.")
        )
    return ALLOWED


def may_allow_private(principal: Principal) -> Ruling:
    """It opens the network that the server stands in, so no client ever does."""
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people consent to a source on a private network."))
    if Role.ADMIN not in principal.roles:
        return Ruling(
            Refused("Consenting to a private address needs the role admin; ask an admin for it.")
        )
    return ALLOWED
