"""The corpus files: what is tried, what must work, and the placeholders in both."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

HERE = Path(__file__).parent
_PLACEHOLDER = re.compile(r"@@[A-Z][A-Z_]*@@")
_GIVEN_BY_PRE = ("@@LAST_RANDOM@@", "@@LAST_UUID@@")
"""Stand for what the call before returned; ``check`` compares it."""


class Abuse(BaseModel):
    """Got through when its marker comes back, a canary is reached, or ``check`` says so."""

    model_config = ConfigDict(extra="ignore")

    id: str
    code: str
    success_marker: str
    server: Literal["default", "wild"] = "default"
    check: str | None = None
    pre: str | None = None
    """Another call, before."""
    concurrent: str | None = None
    """Another call, during."""

    def filled(self, values: Mapping[str, str]) -> Self:
        """Raises: Unfilled: it has a placeholder that is not known here."""
        texts = {
            name: filled(text, values)
            for name in ("code", "success_marker", "check", "pre", "concurrent")
            if (text := getattr(self, name)) is not None
        }
        return self.model_copy(update=texts)


class Honest(BaseModel):
    """Must return exactly what plain Python returns."""

    model_config = ConfigDict(extra="ignore")

    id: str
    code: str
    args: dict[str, Any] = Field(default_factory=dict)
    expected: Any = None
    stdout: str = ""


class Unfilled(ValueError):
    pass


def abuse_in(path: Path) -> list[Abuse]:
    return [Abuse.model_validate_json(line) for line in _lines(path)]


def honest_in(path: Path) -> list[Honest]:
    return [Honest.model_validate_json(line) for line in _lines(path)]


def filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    unknown = sorted(set(_PLACEHOLDER.findall(text)).difference(_GIVEN_BY_PRE))
    if unknown:
        raise Unfilled(f"unknown placeholder {', '.join(unknown)}")
    return text


def _lines(path: Path) -> Iterable[str]:
    return (line for line in path.read_text().splitlines() if line.strip())
