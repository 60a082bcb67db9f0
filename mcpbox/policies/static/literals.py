"""What stands in the code as text: secrets, encoded blobs, and characters that cannot be seen."""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator

from mcpbox.domain.evidence import Finding, Risk
from mcpbox.domain.texts import HIDDEN
from mcpbox.policies.static.found import found_at
from mcpbox.policies.static.program import Program

_LOOKED_AT = 4096
"""Characters of one text; a longer one is reported for its length already."""
_LONG = 2000
_BLOB = re.compile(r"(?:[A-Za-z0-9+/_-]{200,}={0,2}|[0-9A-Fa-f]{200,})$")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
        ("a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("a Slack webhook", r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"),
        ("a Stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
        ("a Google API key", r"\bAIza[0-9A-Za-z_-]{35}"),
        ("an API key", r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}"),
        ("an npm token", r"\bnpm_[A-Za-z0-9]{30,}"),
        ("a PyPI token", r"\bpypi-[A-Za-z0-9_-]{30,}"),
        ("a SendGrid key", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
        ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        ("a private key", r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
        ("a password in an address", r"[a-z][a-z0-9+.-]{1,20}://[^/\s:@]{1,100}:[^/\s:@]{1,100}@"),
    )
)
_TOKEN = re.compile(r"[A-Za-z0-9+/=_.~-]{20,200}$")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_SUSPICIOUS_NAME = re.compile(r"(?:pass(?:word|wd)?|secret|token|api_?key|credential)", re.I)
_BITS = 4.0
"""Of entropy per character: words and paths stay below, what a generator made is above."""
_NAMED_MIN_CHARS = 8


def literal_findings(program: Program) -> Iterator[Finding]:
    yield from _hidden(program)
    names = _names_of(program)
    for node in program.strings:
        raw = node.value
        text = raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)
        if len(text) > _LONG:
            yield found_at(
                program,
                node,
                Risk.LOW,
                "long-literal",
                "Very long text",
                f"A text of {len(text)} characters stands in the code.",
                "Long texts are skipped by readers; give data as an argument.",
            )
        text = text[:_LOOKED_AT]
        kind = _secret_in(text, names.get(id(node), ""))
        if kind:
            # Not one character of it: findings are kept, sent and shown.
            yield found_at(
                program,
                node,
                Risk.HIGH,
                "secret-in-code",
                "Secret in the code",
                f"This looks like {kind} (•••, {len(text)} characters).",
                "Whoever reads the code, a model included, has it; revoke it, and read it from "
                'secrets["NAME"].',
            )
        elif _BLOB.match(text):
            yield found_at(
                program,
                node,
                Risk.MEDIUM,
                "encoded-blob",
                "Encoded data",
                f"{len(text)} characters that say nothing to a reader.",
                "What is kept encoded cannot be read by whoever approves it.",
            )


def _secret_in(text: str, name: str) -> str:
    """What kind of secret it looks like; empty for none. ``name``: what it is assigned to."""
    known = next((kind for kind, shape in _SHAPES if shape.search(text)), "")
    if known:
        return known
    if not _TOKEN.match(text):
        named = _SUSPICIOUS_NAME.search(name) and len(text) >= _NAMED_MIN_CHARS
        return f"the value of {name!r}" if named and not _is_words(text) else ""
    mixed = any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
    if not mixed or _UUID.match(text):
        return ""
    if _SUSPICIOUS_NAME.search(name):
        return f"the value of {name!r}"
    return "a random value" if _bits_per_character(text) >= _BITS and "/" not in text else ""


def _is_words(text: str) -> bool:
    return " " in text or text.replace("_", "").replace("-", "").isalpha() or "://" in text


def _bits_per_character(text: str) -> float:
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def _names_of(program: Program) -> dict[int, str]:
    """What each text is assigned to or passed as."""
    names: dict[int, str] = {}
    for node in program.nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name), *_], value=ast.Constant() as value):
                names[id(value)] = name
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant() as value):
                names[id(value)] = name
            case ast.keyword(arg=str(name), value=ast.Constant() as value):
                names[id(value)] = name
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        names[id(value)] = key.value
            case _:
                pass
    return names


def _hidden(program: Program) -> Iterator[Finding]:
    """One finding a line: a hostile file would have thousands."""
    for number, line in enumerate(program.code.split("\n"), start=1):
        found = HIDDEN.search(line.removesuffix("\r"))
        if found is None:
            continue
        direction = _DIRECTION.search(line)
        found = direction or found
        yield Finding(
            level=Risk.CRITICAL if direction else Risk.HIGH,
            title="Changes the reading direction" if direction else "Invisible characters",
            text=f"The line holds U+{ord(found[0]):04X}, which is not shown.",
            line=number,
            column=found.start() + 1,
            rule="bidirectional" if direction else "invisible",
            why="What is read must be what runs.",
        )
