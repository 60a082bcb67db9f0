"""Asks for each port before anything starts, so that a clash is one sentence and not a crash."""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from mcpbox.domain.errors import Conflict, Invalid, Refused


@dataclass(frozen=True)
class NeededPort:
    host: str
    number: int
    setting: str
    """The variable that chooses it."""
    purpose: str


def require_free(needed: Iterable[NeededPort]) -> None:
    """Report every port that cannot be had, not only the first.

    Raises:
        Conflict: in use, or wanted twice; names port and setting.
        Invalid: the address is not one of this machine.
        Refused: this user may not use the port.
    """
    taken: dict[int, NeededPort] = {}
    problems: list[str] = []
    for port in needed:
        if other := taken.get(port.number):
            problems.append(
                f"Port {port.number} is wanted twice: by {other.setting} and by {port.setting}."
            )
        elif not is_free(port):
            problems.append(
                f"Port {port.number} ({port.purpose}) is in use on {port.host}; stop what uses "
                f"it or choose another with {port.setting}."
            )
        taken[port.number] = port
    if problems:
        raise Conflict("\n".join(problems))


def is_free(port: NeededPort) -> bool:
    """Raises: Invalid, Refused: as :func:`require_free`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            port.host, port.number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # Connections of an instance that just stopped do not count as use.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            # Two sockets may be bound with this option; only one may listen.
            probe.listen(1)
    except PermissionError:
        raise Refused(
            f"Port {port.number} ({port.purpose}) is reserved for root; choose one from 1024 on "
            f"with {port.setting}."
        ) from None
    except socket.gaierror:
        raise Invalid(f"MCPBOX_BIND_HOST: {port.host!r} is not an address.") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise Invalid(
                f"MCPBOX_BIND_HOST: {port.host!r} is not an address of this machine."
            ) from None
        return False
    return True
