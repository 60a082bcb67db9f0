"""What a version may do that the released one may not, apart from what people approved before."""

from enum import StrEnum

from mcpbox.domain.base import DomainModel
from mcpbox.domain.evidence import Risk
from mcpbox.domain.requests import RequestDetail
from mcpbox.domain.tools import VersionContent
from mcpbox.policies.static import read_version


class PowerNoun(StrEnum):
    HOST = "host"
    METHOD = "method"
    """An HTTP method at a host: reading from one that was only written to, or the reverse."""
    MODULE = "module"
    SECRET = "secret"  # noqa: S105 - a word, no secret
    PATTERN = "pattern"
    """Something in the code that a reader has to judge, by the title of its finding."""


class Power(DomainModel):
    noun: PowerNoun
    name: str
    """A host, ``POST host``, a module, a secret, or the title of a finding."""
    methods: tuple[str, ...] = ()
    """Of a host alone: those that stand in the code, sorted."""
    asked: bool = False
    """Its server does not hold it, so approving grants it to all tools of that server."""


class Powers(DomainModel):
    """Each in the order hosts, methods, modules, secrets, patterns, and sorted by name in it."""

    new: tuple[Power, ...] = ()
    kept: tuple[Power, ...] = ()
    dropped: tuple[Power, ...] = ()


def powers_of(request: RequestDetail) -> Powers | None:
    """``None`` for a request about no version. Takes a second for hostile code.

    A first version is all new. A host that is new as a whole is named once, with its methods.
    """
    if request.proposed is None:
        return None
    before = {} if request.released is None else _powers_in(request.released, frozenset())
    after = _powers_in(request.proposed, frozenset(request.needs.items))
    new = {key: power for key, power in after.items() if key not in before}
    return Powers(
        new=tuple(power for power in new.values() if not _is_said_by_host(power, new)),
        kept=tuple(
            power
            for key, power in after.items()
            if key in before and power.noun is not PowerNoun.METHOD
        ),
        dropped=tuple(
            power
            for key, power in before.items()
            if key not in after and not _is_said_by_host(power, before.keys() - after.keys())
        ),
    )


_Key = tuple[PowerNoun, str]


def _powers_in(version: VersionContent, asked: frozenset[str]) -> dict[_Key, Power]:
    reading = read_version(version)
    manifest = version.manifest
    found = [
        Power(
            noun=PowerNoun.HOST,
            name=host,
            methods=reading.methods.get(host, ()),
            asked=host in asked,
        )
        for host in manifest.hosts
    ]
    found += [
        Power(noun=PowerNoun.METHOD, name=f"{method} {host}")
        for host in manifest.hosts
        for method in reading.methods.get(host, ())
    ]
    for noun, names in (
        (PowerNoun.MODULE, manifest.modules),
        (PowerNoun.SECRET, manifest.secret_names),
    ):
        found += [Power(noun=noun, name=name, asked=name in asked) for name in names]
    judged = {one.title for one in reading.findings if one.level is not Risk.LOW}
    found += [Power(noun=PowerNoun.PATTERN, name=title) for title in sorted(judged)]
    return {(power.noun, power.name): power for power in found}


def _is_said_by_host(power: Power, beside: dict[_Key, Power] | set[_Key]) -> bool:
    if power.noun is not PowerNoun.METHOD:
        return False
    return (PowerNoun.HOST, power.name.partition(" ")[2]) in beside
