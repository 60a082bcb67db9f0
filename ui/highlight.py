"""Cuts source text into coloured segments, and shows characters that would hide something."""

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

from mcpbox.domain.texts import HIDDEN, reveal


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
    for found in HIDDEN.finditer(part):
        if found.start() > at:
            segments.append(Segment(part[at : found.start()], css))
        segments.append(Segment(reveal(found[0]), "hidden"))
        at = found.end()
    if at < len(part):
        segments.append(Segment(part[at:], css))
    return segments
