"""What the code says it reaches beside what it was seen to reach, or to try."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mcpbox.domain.evidence import Finding, HostUse, Risk


class Seen(NamedTuple):
    """One request that the code made in the sandbox."""

    method: str
    host: str
    """As asked for; empty where the record stands for those that were not kept."""
    refused: str | None


def host_uses(
    declared: Iterable[str],
    methods: Mapping[str, Sequence[str]],
    granted: Iterable[str],
    seen: Iterable[Seen],
) -> tuple[HostUse, ...]:
    """By name; records without a host are left out. ``methods``: host to what is asked of it."""
    declared, granted = frozenset(declared), frozenset(granted)
    reached: dict[str, int] = {}
    refused: dict[str, list[str]] = {}
    for one in seen:
        if not one.host:
            continue
        host = _comparable(one.host, declared)
        if one.refused is None:
            reached[host] = reached.get(host, 0) + 1
        else:
            refused.setdefault(host, []).append(one.refused)
    names = declared | reached.keys() | refused.keys() | (methods.keys() - {""})
    return tuple(
        HostUse(
            host=host,
            methods=tuple(methods.get(host, ())),
            declared=host in declared,
            granted=host in granted,
            reached=reached.get(host, 0),
            refused=len(refused.get(host, ())),
            reason=next(iter(refused.get(host, ())), ""),
        )
        for host in sorted(names)
    )


def egress_findings(uses: Iterable[HostUse]) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for use in uses:
        if not use.declared and (use.reached or use.refused):
            tried = "reached" if use.reached else "tried to reach"
            found.append(
                Finding(
                    level=Risk.CRITICAL if use.reached else Risk.HIGH,
                    title="Undeclared host",
                    text=f"It {tried} {use.host}, which the code does not name."
                    + (f" {use.reason}" if use.reason else ""),
                    rule="undeclared-host",
                    why="Nobody who reads the code can see that it goes there.",
                )
            )
        elif use.declared and use.granted and use.refused:
            found.append(
                Finding(
                    level=Risk.MEDIUM,
                    title="Refused attempt",
                    text=f"{use.refused} of its requests to {use.host} were refused: {use.reason}",
                    rule="refused-attempt",
                    why="It asked for more than its grants allow.",
                )
            )
        elif use.declared and use.refused:
            found.append(
                Finding(
                    level=Risk.LOW,
                    title="Not granted yet",
                    text=f"It tried to reach {use.host}, which approving would let it.",
                    rule="not-granted-yet",
                    why="What it does there was not seen: ungranted hosts are refused in a trial.",
                )
            )
        elif use.declared and not use.reached:
            found.append(
                Finding(
                    level=Risk.LOW,
                    title="Declared, never seen",
                    text=f"No run reached {use.host}, which the code names.",
                    rule="never-seen",
                    why="Either it is not needed, or no arguments that were tried lead there.",
                )
            )
    return tuple(found)


def undeclared(declared: Iterable[str], seen: Iterable[Seen]) -> tuple[str, ...]:
    """Hosts that were tried though the code does not name them, sorted."""
    named = frozenset(declared)
    return tuple(
        sorted({s.host for s in seen if s.host and _comparable(s.host, named) not in named})
    )


def _comparable(host: str, declared: frozenset[str]) -> str:
    """Records may name the port of the scheme, and code may leave it out."""
    host = host.lower()
    if host in declared:
        return host
    bare, _, port = host.rpartition(":")
    return bare if port in ("80", "443") and bare in declared else host
