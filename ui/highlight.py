"""Cuts source text into coloured segments, and shows characters that would hide something."""

import re
from typing import NamedTuple

from pygments.lexers import get_lexer_for_filename
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    _TokenType,  # pyright: ignore[reportPrivateUsage]  # the only name it has
)
from pygments.util import ClassNotFound


class Segment(NamedTuple):
    text: str
    css: str = ""
    marked: bool = False
    """Differs from the other side of a diff."""


_CLASSES: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "c"),
    (String.Doc, "c"),
    (String, "s"),
    (Number, "n"),
    (Keyword.Constant, "n"),
    (Keyword, "k"),
    (Operator.Word, "k"),
    (Name.Decorator, "d"),
    (Name.Function, "f"),
    (Name.Class, "f"),
    (Name.Builtin, "b"),
    (Name.Tag, "k"),
    (Name.Attribute, "f"),
    (Name.Exception, "b"),
)

# Control, zero-width and bidirectional characters: what a reviewer reads must be what runs.
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def reveal(line: str) -> str:
    """Hidden characters spelled out, as in ``⟨U+202E⟩``."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", line)


def hidden_in(source: str) -> int:
    return len(_HIDDEN.findall(source))


def lines_of(source: str) -> list[str]:
    """Split at line feeds only; a carriage return is shown, for Python ends a line there."""
    return source.removesuffix("\n").split("\n") if source else []


def highlight(source: str, path: str) -> list[list[Segment]]:
    """One list of segments for each of :func:`lines_of`; lexed as a whole."""
    if not source:
        return []
    source = source.removesuffix("\n")
    try:
        lexer = get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return [_revealed(line, "") for line in source.split("\n")]
    lines: list[list[Segment]] = [[]]
    for _, kind, value in lexer.get_tokens_unprocessed(source):
        css = next((css for parent, css in _CLASSES if kind in parent), "")
        for number, part in enumerate(value.split("\n")):
            if number:
                lines.append([])
            lines[-1] += _revealed(part, css)
    return lines


def _revealed(part: str, css: str) -> list[Segment]:
    segments: list[Segment] = []
    at = 0
    for found in _HIDDEN.finditer(part):
        if found.start() > at:
            segments.append(Segment(part[at : found.start()], css))
        segments.append(Segment(reveal(found[0]), "hidden"))
        at = found.end()
    if at < len(part):
        segments.append(Segment(part[at:], css))
    return segments
