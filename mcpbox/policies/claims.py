"""What an author says of a tool against what its code does: claims, never facts, so compared."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from mcpbox.domain.evidence import Finding, Risk
from mcpbox.domain.texts import HIDDEN
from mcpbox.domain.tools import VersionContent
from mcpbox.policies.static import CodeReading

_WRITING = {
    "DELETE": Risk.HIGH,
    "PATCH": Risk.HIGH,
    "PUT": Risk.HIGH,
    # Many interfaces are searched with POST.
    "POST": Risk.MEDIUM,
    "any": Risk.MEDIUM,
}
_DESTROYING = frozenset({"DELETE", "PUT"})
_ONCE_ONLY = frozenset({"POST", "PATCH"})
_READING_NAME = re.compile(r"(?:get|list|read|search|find|show|fetch|lookup|count|check|is|has)_")
_MAX_TEXT = 4000
_INSTRUCTIONS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:previous|prior|earlier|above|other|all)"
        r"\b.{0,40}\b(?:instruction|prompt|rule|message|tool)s?",
        r"<\s*/?\s*(?:important|system|instructions?|secret|assistant)\s*>",
        r"\b(?:do not|don't|never)\b.{0,30}\b(?:tell|mention|inform|show|reveal)\b.{0,30}"
        r"\b(?:user|human|person|anyone|this)\b",
        r"\b(?:before|after|instead of)\b.{0,30}\b(?:using|calling|use of)\b.{0,30}"
        r"\b(?:any|other|another|this|every)\b.{0,30}\btools?\b",
        r"\b(?:you must|always|you should)\b.{0,40}\b(?:call|use|run|invoke|read|send|pass)\b",
        r"\b(?:system prompt|conversation history|chat history|previous messages)\b",
        r"\b(?:id_rsa|\.ssh|\.env|mcp\.json|credentials? file)\b",
        r"\bsend\b.{0,60}\bto\b.{0,20}(?:https?://|\S+@\S+)",
    )
)
_LINK = re.compile(r"(?:https?|ftp|data|javascript):\S+|\]\(\s*\S+\)", re.IGNORECASE)


class _Text(NamedTuple):
    place: str
    text: str


def claim_findings(version: VersionContent, reading: CodeReading) -> tuple[Finding, ...]:
    """Worst first within each claim; empty: nothing contradicts what the author says."""
    return (*_hints(version, reading), *_name(version, reading), *_texts(version))


def _hints(version: VersionContent, reading: CodeReading) -> Iterator[Finding]:
    hints, methods = version.annotations, reading.all_methods
    writing = sorted(methods & _WRITING.keys())
    if hints.read_only and writing:
        yield _finding(
            max((_WRITING[m] for m in writing), key=list(Risk).index),
            "claims-read-only",
            "Says it only reads",
            f"readOnlyHint is true, but the code sends {', '.join(writing)}.",
            "Clients call read-only tools without asking anybody.",
        )
    if hints.read_only and hints.destructive:
        yield _finding(
            Risk.MEDIUM,
            "claims-contradict",
            "Contradicts itself",
            "readOnlyHint and destructiveHint are both true.",
            "Which of the two a client believes is its own choice.",
        )
    if hints.destructive is False and (methods & _DESTROYING):
        yield _finding(
            Risk.HIGH,
            "claims-harmless",
            "Says it destroys nothing",
            f"destructiveHint is false, but the code sends "
            f"{', '.join(sorted(methods & _DESTROYING))}.",
            "Clients ask people before destructive calls alone.",
        )
    if hints.idempotent and (methods & _ONCE_ONLY):
        yield _finding(
            Risk.MEDIUM,
            "claims-idempotent",
            "Says repeating it is harmless",
            f"idempotentHint is true, but the code sends "
            f"{', '.join(sorted(methods & _ONCE_ONLY))}.",
            "Clients repeat idempotent calls by themselves.",
        )
    if hints.open_world is False and (methods or reading.opaque):
        hosts = ", ".join(host or "hosts chosen at run time" for host in reading.methods)
        yield _finding(
            Risk.HIGH,
            "claims-closed-world",
            "Says it reaches nothing outside",
            f"openWorldHint is false, but the code reaches {hosts or 'others through a client'}.",
            "Clients take what such a tool answers for trusted.",
        )


def _name(version: VersionContent, reading: CodeReading) -> Iterator[Finding]:
    writing = sorted(reading.all_methods & _WRITING.keys() - {"any"})
    if _READING_NAME.match(version.name) and writing:
        yield _finding(
            max((_WRITING[m] for m in writing), key=list(Risk).index),
            "name-says-reads",
            "Is named like one that reads",
            f"It is called {version.name!r}, but the code sends {', '.join(writing)}.",
            "People and models judge by the name first.",
        )


def _texts(version: VersionContent) -> Iterator[Finding]:
    for place, text in _told_to_models(version):
        hidden = HIDDEN.search(text)
        if hidden is not None:
            yield _finding(
                Risk.CRITICAL,
                "invisible-text",
                "Invisible text for the model",
                f"{place} holds U+{ord(hidden[0]):04X}, which people are not shown.",
                "A model reads it all the same.",
            )
        plain = " ".join(text[:_MAX_TEXT].split())
        said = next((found for one in _INSTRUCTIONS if (found := one.search(plain))), None)
        if said is not None:
            yield _finding(
                Risk.HIGH,
                "instructs-model",
                "Gives the model instructions",
                f"{place} says: “{said[0][:120]}”.",
                "A description says what a tool does; orders in it steer the model that reads it.",
            )
        link = _LINK.search(plain)
        if link is not None:
            yield _finding(
                Risk.LOW,
                "link-in-text",
                "Link in a description",
                f"{place} holds a link.",
                "A model may follow it, and nobody approved what is there.",
            )
        if len(text) > _MAX_TEXT:
            yield _finding(
                Risk.MEDIUM,
                "long-text",
                "Very long description",
                f"{place} has {len(text)} characters; only the first {_MAX_TEXT} were read here.",
                "Long texts are skipped by readers, and not by models.",
            )


def _told_to_models(version: VersionContent) -> list[_Text]:
    """Everything that a client hands to its model, descriptions in schemas included."""
    texts = [_Text("The description", version.description)]
    waiting: list[tuple[str, str, object]] = [("the arguments", "", version.input_schema)]
    if version.passes_to is not None:
        texts.append(_Text("The title", version.passes_to.title))
        waiting.append(("the result", "", version.passes_to.output_schema))
    while waiting:
        whole, path, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(whole, path, inner) for inner in cast("list[object]", value)]
        elif isinstance(value, dict):
            for key, inner in cast("dict[str, Any]", value).items():
                if key in ("description", "title", "$comment") and isinstance(inner, str):
                    texts.append(_Text(f"The {key} of {path or whole}", inner))
                else:
                    waiting.append((whole, path if key in _KEYWORDS else repr(key), inner))
    return texts


_KEYWORDS = frozenset(
    {"properties", "items", "anyOf", "oneOf", "allOf", "additionalProperties", "$defs"}
)


def _finding(level: Risk, rule: str, title: str, text: str, why: str) -> Finding:
    return Finding(level=level, title=title, text=text, rule=rule, why=why)
