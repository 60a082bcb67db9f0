"""All static findings about one piece of code, and the facts that other checks compare with."""

from collections.abc import Iterator
from itertools import islice

from mcpbox.domain.base import DomainModel
from mcpbox.domain.errors import Problem
from mcpbox.domain.evidence import Finding, Risk
from mcpbox.domain.tools import VersionContent
from mcpbox.domain.upstreams import HttpEndpoint
from mcpbox.policies.static.literals import literal_findings
from mcpbox.policies.static.loops import loop_findings
from mcpbox.policies.static.network import MAX_ASKS, asks, network_findings, passes_client_on
from mcpbox.policies.static.patterns import pattern_findings
from mcpbox.policies.static.program import Program

_SHOWN = 100
_COLLECTED = 1000
"""Of each sort; hostile code has a finding in every line."""
_ORDER = list(Risk)


class CodeReading(DomainModel):
    """Findings in source order, at most a hundred: the worst ones, and a last one says how many."""

    findings: tuple[Finding, ...] = ()
    methods: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - pydantic copies it
    """Host to HTTP methods, both sorted; the host is empty where it is chosen at run time."""
    opaque: bool = False
    """More may be asked of the network than the code shows."""
    unread: str = ""
    """Why the code could not be read; then nothing else is known."""

    @property
    def all_methods(self) -> frozenset[str]:
        return frozenset(method for methods in self.methods.values() for method in methods)


def read_version(version: VersionContent) -> CodeReading:
    """Of its code; of one that passes its calls on, that nobody here can read what it does."""
    if version.passes_to is None:
        return read_code(version.code)
    endpoint = version.passes_to.endpoint
    elsewhere = isinstance(endpoint, HttpEndpoint)
    where = f"at {endpoint.label}" if elsewhere else f"in {endpoint.label}, without the network"
    finding = Finding(
        level=Risk.MEDIUM,
        title="Runs elsewhere" if elsewhere else "Runs code of a package",
        text=f"What a call does is decided {where}; nothing of it could be read here.",
        rule="passes-calls-on",
        why="It may do something else tomorrow, and say the same of itself.",
    )
    return CodeReading(findings=(finding,), opaque=elsewhere)


def read_code(code: str) -> CodeReading:
    program = Program.of(code)
    if isinstance(program, Problem):
        return CodeReading(unread=str(program))
    methods: dict[str, set[str]] = {}
    asked = asks(program)
    for ask in asked:
        methods.setdefault(ask.host, set()).add(ask.method)
    found = sorted(set(_all(program)), key=lambda one: (one.line or 0, one.column or 0, one.rule))
    return CodeReading(
        findings=_shown(found),
        methods={host: tuple(sorted(used)) for host, used in sorted(methods.items())},
        opaque=len(asked) == MAX_ASKS or passes_client_on(program) is not None,
    )


def _all(program: Program) -> Iterator[Finding]:
    for found in (network_findings, pattern_findings, literal_findings, loop_findings):
        yield from islice(found(program), _COLLECTED)


def _shown(found: list[Finding]) -> tuple[Finding, ...]:
    if len(found) <= _SHOWN:
        return tuple(found)
    worst = sorted(found, key=lambda one: _ORDER.index(one.level), reverse=True)[:_SHOWN]
    left_out = Finding(
        level=worst[0].level,
        title="More than is shown",
        text=f"{len(found) - _SHOWN} more places were found, none worse than those shown.",
        rule="more",
    )
    return (*sorted(worst, key=lambda one: (one.line or 0, one.column or 0)), left_out)
