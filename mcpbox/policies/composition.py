"""What the tools of one server can do together: a model carries what one answers to the next.

Private data, text that strangers wrote and a way out are harmless alone, and an open door together.
Source: https://simonwillison.net/2025/Jun/16/the-lethal-trifecta/
"""

from collections.abc import Iterable

from mcpbox.domain.base import DomainModel
from mcpbox.domain.evidence import Finding, Risk
from mcpbox.policies.static import CodeReading

_WAY_OUT = frozenset({"POST", "PUT", "PATCH", "DELETE", "any"})
PRIVATE, UNTRUSTED, OUTBOUND = "private data", "untrusted text", "a way out"


class Abilities(DomainModel):
    """Of one tool, as far as its code shows."""

    tool: str
    private: bool
    untrusted: bool
    outbound: bool

    @property
    def in_words(self) -> str:
        return ", ".join(word for word, field in _ALL if getattr(self, field)) or "none"


def abilities_of(tool: str, reading: CodeReading, secret_names: Iterable[str]) -> Abilities:
    methods = reading.all_methods
    # Whoever chooses part of an address can write into it.
    in_address = any(one.rule in _CHOSEN for one in reading.findings)
    return Abilities(
        tool=tool,
        private=bool(tuple(secret_names)),
        untrusted=bool(methods) or reading.opaque,
        outbound=bool(methods & _WAY_OUT) or in_address or reading.opaque,
    )


def composition_findings(others: Iterable[Abilities], new: Abilities) -> tuple[Finding, ...]:
    """``others``: the released tools of the same server, without the one it would replace."""
    released = list(others)
    before, after = _held(released), _held([*released, new])
    if len(after) < len(_ALL):
        return ()
    who = "; ".join(
        f"{word}: {', '.join(tool.tool for tool in (*released, new) if getattr(tool, field))}"
        for word, field in _ALL
    )
    completes = len(before) < len(_ALL)
    return (
        Finding(
            level=Risk.LOW,
            title="Completes the set" if completes else "The set is complete",
            text=("With this tool the server's" if completes else "The server's")
            + f" tools have private data, untrusted text and a way out together ({who}).",
            rule="composition",
            why="A text that a stranger wrote can make a model read what is private with one tool "
            "and send it away with another.",
        ),
    )


_ALL = ((PRIVATE, "private"), (UNTRUSTED, "untrusted"), (OUTBOUND, "outbound"))
_CHOSEN = frozenset({"arguments-in-url", "host-at-run-time"})


def _held(tools: Iterable[Abilities]) -> set[str]:
    listed = list(tools)
    return {word for word, field in _ALL if any(getattr(tool, field) for tool in listed)}


def in_words(others: Iterable[Abilities], new: Abilities) -> str:
    held = _held([*others, new])
    named = [word for word, _ in _ALL if word in held]
    return f"Together they have {', '.join(named)}." if named else "They have none of the three."
