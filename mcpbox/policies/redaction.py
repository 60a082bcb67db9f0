"""What is cut out of what tools answer and print: known secret values, and words that look so."""

import re
from collections.abc import Iterable
from typing import Any, cast

CUT = "[redacted]"
SHORTEST_VALUE = 8
"""A shorter secret would be cut out of innocent words."""
_LOOK_SO = (
    *("sk-", "sk_live_", "rk_live_", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "npm_"),
    *("xoxb-", "xoxp-", "xapp-", "AKIA", "ASIA", "AIza", "eyJhbGciOi", "hf_", "pypi-AgEI"),
)
"""How tokens of widely used services begin; sixteen characters of one or more follow."""
_WORD = r"[A-Za-z0-9_.+/=-]"
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
    r"(?:(?!-----BEGIN)[\s\S])*?(?:-----END [A-Z ]{0,40}-----|\Z)"
)


class Redactor:
    """Linear in the length of the text: no pattern in it can be tried in two ways."""

    def __init__(self, *, values: Iterable[str] = (), prefixes: Iterable[str] = ()) -> None:
        """``prefixes``: any word that begins with one is cut."""
        self._prefixes = tuple(prefixes)
        known = sorted({v for v in values if len(v) >= SHORTEST_VALUE}, key=len, reverse=True)
        words = [rf"(?:{_any_of(_LOOK_SO)}){_WORD}{{16,}}"]
        if configured := sorted(set(self._prefixes)):
            words.append(rf"(?:{_any_of(configured)})[^\s\"'<>]+")
        parts = [*map(re.escape, known), _PRIVATE_KEY, rf"(?<![A-Za-z0-9])(?:{'|'.join(words)})"]
        self._pattern = re.compile("|".join(parts))

    def knowing(self, values: Iterable[str]) -> "Redactor":
        """The same, which cuts these values too."""
        return Redactor(values=values, prefixes=self._prefixes)

    def text(self, text: str) -> str:
        return self._pattern.sub(CUT, text)

    def json(self, value: Any) -> Any:
        """A copy, names of fields included; equal values stay equal."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(inner) for inner in cast("list[Any]", value)]
        if isinstance(value, dict):
            pairs = cast("dict[str, Any]", value)
            return {self.text(name): self.json(inner) for name, inner in pairs.items()}
        return value


def _any_of(literals: Iterable[str]) -> str:
    return "|".join(map(re.escape, literals))
