"""What code needs beyond plain computing: extracted from it, never declared alone."""

from collections.abc import Collection, Iterable
from datetime import datetime

from mcpbox.domain.base import DomainModel
from mcpbox.domain.grants import GrantEnd, GrantKind
from mcpbox.domain.hosts import covers
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
    """The part of a manifest that its server holds no live grant for.

    Compatibility rule: kept with requests, so fields are only added, with a default; each holds
    names alone, for reviewers may refuse each of them.
    """

    hosts: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """By import name, of those that were asked for together with the version."""
    secrets: tuple[str, ...] = ()
    """By name, of those that its server has a placeholder for."""

    def __bool__(self) -> bool:
        return bool(self.hosts or self.modules or self.secrets)

    @property
    def items(self) -> tuple[str, ...]:
        """Everything that it names, as a reviewer refuses it."""
        return tuple(item for values in self.model_dump().values() for item in values)

    def without(self, refused: Collection[str]) -> "Needs":
        kept = {
            noun: tuple(item for item in values if item not in refused)
            for noun, values in self.model_dump().items()
        }
        return Needs.model_validate(kept)


class Granted(DomainModel):
    """What the tools of a server may use, as far as their own code names it."""

    hosts: frozenset[str] = frozenset()
    """In the text form of :mod:`.hosts`."""
    modules: frozenset[str] = frozenset()
    """By import name: those that every tool may import, and those with a live grant."""
    module_set: Digest | None = None
    """What offers the granted ones; all tools of the server share it."""
    secrets: frozenset[str] = frozenset()
    """By name."""
    ends: tuple[GrantEnd, ...] = ()
    """Those of it that end by themselves."""

    @property
    def lasting_hosts(self) -> frozenset[str]:
        """Those that do not end by themselves."""
        return self.hosts - _values(self.ends, GrantKind.HOST)

    def live_at(self, now: datetime) -> "Granted":
        """The same without what has ended by then, whoever was late to say so."""
        over = [end for end in self.ends if end.at <= now]
        if not over:
            return self
        return self.model_copy(
            update={
                "hosts": self.hosts - _values(over, GrantKind.HOST),
                "modules": self.modules - _values(over, GrantKind.MODULE),
                "secrets": self.secrets - _values(over, GrantKind.SECRET),
                "ends": tuple(end for end in self.ends if end.at > now),
            }
        )


def needs_beyond(manifest: Manifest, granted_hosts: frozenset[str]) -> Needs:
    return Needs(hosts=ungranted_hosts(manifest, granted_hosts))


def ungranted_hosts(manifest: Manifest, granted_hosts: frozenset[str]) -> tuple[str, ...]:
    return tuple(
        host for host in manifest.hosts if not any(covers(grant, host) for grant in granted_hosts)
    )


def reachable_hosts(manifest: Manifest, granted_hosts: Iterable[str]) -> tuple[str, ...]:
    """The grants that the code may use: only those for a host that it names itself; sorted."""
    return tuple(
        sorted(
            grant for grant in granted_hosts if any(covers(grant, host) for host in manifest.hosts)
        )
    )


def _values(ends: Iterable[GrantEnd], kind: GrantKind) -> frozenset[str]:
    return frozenset(end.value for end in ends if end.kind is kind)
