"""What code needs beyond plain computing: extracted from it, never declared alone."""

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest


class Manifest(DomainModel):
    """Every field sorted and without repeats, so equal needs are equal values."""

    modules: tuple[str, ...] = ()
    """Top-level modules that the code imports."""
    hosts: tuple[str, ...] = ()
    """Hosts of the URLs that stand in the code, lower case, with the port where one is written."""
    secret_names: tuple[str, ...] = ()
    """Constant keys of ``secrets[...]``."""


class Needs(DomainModel):
    """The part of a manifest that its server holds no live grant for."""

    hosts: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hosts)


class Granted(DomainModel):
    """What the tools of a server may use, as far as their own code names it."""

    hosts: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    """By import name: those that every tool may import, and those with a live grant."""
    module_set: Digest | None = None
    """What offers the granted ones; all tools of the server share it."""


def needs_beyond(manifest: Manifest, granted_hosts: frozenset[str]) -> Needs:
    return Needs(hosts=tuple(host for host in manifest.hosts if host not in granted_hosts))


def reachable_hosts(manifest: Manifest, granted_hosts: frozenset[str]) -> tuple[str, ...]:
    """What the code may reach: only what it names itself, and only what is granted."""
    return tuple(host for host in manifest.hosts if host in granted_hosts)
