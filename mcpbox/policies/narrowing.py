"""Who throws which switch (I9). Every face asks :func:`may_switch`.

People stop, disable, revoke and quarantine with the role operator or admin; only an admin lifts a
quarantine. A client that may author stops, disables and deletes too, and undoes no more than
clients did: a person's narrowing outranks it, and does not end with what it narrows. The system
narrows by itself, and gives nothing back.
"""

from mcpbox.domain.errors import Conflict, Invalid, Refused
from mcpbox.domain.narrowing import Narrowing, Standing, Switch
from mcpbox.domain.people import Principal, PrincipalKind, Role, Scope
from mcpbox.policies.ruling import ALLOWED, Ruling

SWITCHING_ROLES = frozenset({Role.OPERATOR, Role.ADMIN})
_CLIENTS = frozenset({Switch.STOP, Switch.START, Switch.DISABLE, Switch.ENABLE, Switch.DELETE})
_REASONED = frozenset({Switch.REVOKE, Switch.QUARANTINE, Switch.LIFT})


def may_switch(
    principal: Principal, switch: Switch, standing: Standing, reason: str = ""
) -> Ruling:
    if not (who := _may_use(principal, switch)):
        return who
    if switch in _REASONED and not reason.strip():
        return Ruling(Invalid(f"Give a reason to {_TOLD[switch]}; it is kept in the audit log."))
    if switch is Switch.DELETE:
        return _may_delete(principal, standing)
    if switch is Switch.LIFT:
        if standing.quarantine is None:
            return Ruling(Conflict(f"The {standing.noun} is not quarantined."))
        return ALLOWED
    if switch.widens and standing.quarantine is not None:
        return Ruling(
            Conflict(
                f"The {standing.noun} is quarantined {standing.quarantine.told}. "
                "An admin has to lift that first."
            )
        )
    off = standing.off
    if (
        switch.widens
        and principal.kind is PrincipalKind.CLIENT
        and off is not None
        and not off.by_client
    ):
        return Ruling(
            Refused(
                f"The {standing.noun} was switched off {off.told}. "
                "A client does not undo that; ask an operator or an admin."
            )
        )
    return ALLOWED


def may_run_drafts(*standings: Standing) -> Ruling:
    """Trials are no calls, so a stop leaves them alone; a quarantine leaves nothing alone."""
    for standing in standings:
        if standing.quarantine is not None:
            return Ruling(
                Refused(
                    f"The {standing.noun} is quarantined {standing.quarantine.told}. "
                    "Nothing of it runs until an admin lifts that."
                )
            )
    return ALLOWED


def outranks(principal: Principal, earlier: Narrowing | None) -> bool:
    """Whether switching off again what is off already changes who may undo it."""
    return earlier is None or (earlier.by_client and principal.kind is not PrincipalKind.CLIENT)


def _may_delete(principal: Principal, standing: Standing) -> Ruling:
    off = standing.off
    is_client = principal.kind is PrincipalKind.CLIENT
    if standing.quarantine is not None and (is_client or Role.ADMIN not in principal.roles):
        return Ruling(
            Refused(
                f"The {standing.noun} is quarantined {standing.quarantine.told}. "
                "Only an admin deletes it."
            )
        )
    if is_client and off is not None and not off.by_client:
        return Ruling(
            Refused(
                f"The {standing.noun} was switched off {off.told}. "
                "A client does not delete it; ask an operator or an admin."
            )
        )
    return ALLOWED


def _may_use(principal: Principal, switch: Switch) -> Ruling:
    if principal.kind is PrincipalKind.CLIENT:
        if switch not in _CLIENTS:
            return Ruling(Refused(f"Only people {_TOLD[switch]}."))
        if Scope.AUTHOR not in principal.scopes:
            return Ruling(Refused("This client's token lacks the scope 'author'."))
        return ALLOWED
    if principal.kind is PrincipalKind.SYSTEM:
        if switch.widens:
            return Ruling(Refused("What was switched off is given back by people alone."))
        return ALLOWED
    if switch is Switch.LIFT and Role.ADMIN not in principal.roles:
        return Ruling(Refused("To lift a quarantine needs the role admin; ask an admin for it."))
    if not principal.roles & SWITCHING_ROLES:
        return Ruling(
            Refused(f"To {_TOLD[switch]} needs the role operator or admin; ask an admin for it.")
        )
    return ALLOWED


_TOLD = {
    Switch.STOP: "stop a server",
    Switch.START: "start a server",
    Switch.DISABLE: "disable a tool",
    Switch.ENABLE: "enable a tool",
    Switch.REVOKE: "revoke a release",
    Switch.QUARANTINE: "quarantine something",
    Switch.LIFT: "lift a quarantine",
    Switch.DELETE: "delete something",
}
