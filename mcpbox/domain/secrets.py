"""Secrets of servers: a name, the hosts it may be sent to, and a value that nobody is ever told."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from mcpbox.domain.base import DomainModel
from mcpbox.domain.errors import Invalid
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import ServerId

NAME_MAX_LENGTH = 62
HOSTS_MAX = 20
VALUE_MAX_LENGTH = 8192
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def _checked_name(name: str) -> str:
    if len(name) > NAME_MAX_LENGTH or not _NAME.fullmatch(name):
        raise Invalid(
            f"{name[:NAME_MAX_LENGTH]!r} is not a name for a secret: use capital letters, digits "
            f"and _, beginning with a letter, at most {NAME_MAX_LENGTH}."
        )
    return name


SecretName = Annotated[str, AfterValidator(_checked_name)]


class Secret(DomainModel):
    """What is told of one; its value never is."""

    server_id: ServerId
    name: str
    hosts: tuple[str, ...]
    """``host[:port]``, sorted: where the value may be sent, and nowhere else."""
    is_set: bool
    is_granted: bool
    """People let the server's tools use it."""
    created_by: str
    created_at: datetime
    set_by: str | None = None
    set_at: datetime | None = None


class HeldSecret(DomainModel):
    """In the gateway's memory, for the calls of one tool."""

    value: SecretStr
    hosts: tuple[str, ...] = Field(min_length=1)


def checked_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """In their normal form, sorted. Raises: Invalid."""
    if not 0 < len(hosts) <= HOSTS_MAX:
        raise Invalid(
            f"Name the hosts that the secret may be sent to, from 1 to {HOSTS_MAX}: its value "
            "never enters the code, so it goes to these alone."
        )
    found: set[str] = set()
    for host in hosts:
        access = HostAccess.parse(host.strip())
        if access.methods or access.path_prefix:
            raise Invalid("A secret is bound to whole hosts: host or host:port, nothing more.")
        found.add(access.authority)
    return tuple(sorted(found))
