"""Side-by-side diffs as plain data.

The browser builds its nodes from these tokens: no HTML string exists on the way, so nothing in a
submitted program can become markup. Every line is kept, however long the program is: a reviewer
approves all of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Literal

from mcpbox.domain.texts import reveal
from ui.highlight import Segment, highlight, lines_of

Kind = Literal["same", "change", "add", "del"]
Span = tuple[int, int]
Block = tuple[str, int, int, int, int]

CONTEXT_LINES = 3
CHUNK_ROWS = 400
"""A longer run of lines is folded into pieces, which the browser opens on demand."""

# Beyond these, comparing could take longer than reading; lines are then shown without word marks,
# and a stretch as removed and added whole.
_COMPARED_LINES = 3000
_WORD_COMPARED_CHARS = 400
_WORD_COMPARED_PAIRS = 500

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_SIMILAR = 0.4


@dataclass(frozen=True)
class Row:
    """One line of the table; numbers count from 1, a missing side is ``None``."""

    kind: Kind
    left: int | None
    right: int | None
    left_segments: list[Segment]
    right_segments: list[Segment]

    def as_props(self) -> list[Any]:
        """An unchanged line is sent once."""
        left = [] if self.kind == "same" else self.left_segments
        sides = ([tuple(segment) for segment in side] for side in (left, self.right_segments))
        return [self.kind, self.left, self.right, *sides]


@dataclass(frozen=True)
class FileDiff:
    path: str
    rows: list[Row]
    added: int
    removed: int

    @property
    def status(self) -> Literal["added", "removed", "changed", "same"]:
        if not self.added and not self.removed:
            return "same"
        if all(row.kind == "add" for row in self.rows):
            return "added"
        return "removed" if all(row.kind == "del" for row in self.rows) else "changed"

    def as_props(self, noted: frozenset[int] = frozenset()) -> dict[str, Any]:
        """For the browser: blocks of rows, of which some are folded; never a noted line."""
        kept = self._kept(noted)
        blocks: list[dict[str, Any]] = []
        for keep, group in groupby(zip(kept, self.rows, strict=True), key=lambda pair: pair[0]):
            rows = [row.as_props() for _, row in group]
            if not keep and len(rows) > CONTEXT_LINES:
                blocks.append({"fold": f"Show {len(rows)} unchanged lines", "rows": rows})
                continue
            for start in range(0, len(rows), CHUNK_ROWS):
                piece = rows[start : start + CHUNK_ROWS]
                blocks.append({"fold": f"Show {len(piece)} more lines", "rows": piece})
                if start == 0:
                    blocks[-1]["fold"] = ""
        return {
            "path": self.path,
            "added": self.added,
            "removed": self.removed,
            "status": self.status,
            "blocks": blocks,
        }

    def _kept(self, noted: frozenset[int]) -> list[bool]:
        if self.status == "same":
            return [True] * len(self.rows)
        kept = [False] * len(self.rows)
        for index, row in enumerate(self.rows):
            if row.kind != "same" or row.right in noted:
                start = max(0, index - CONTEXT_LINES)
                stop = min(len(kept), index + CONTEXT_LINES + 1)
                kept[start:stop] = [True] * (stop - start)
        return kept


def diff_file(path: str, before: str, after: str) -> FileDiff:
    """Compare two versions of one file."""
    old, new = lines_of(before), lines_of(after)
    old_lines, new_lines = highlight(before, path), highlight(after, path)
    rows: list[Row] = []
    added = removed = pairs = 0
    for tag, i1, i2, j1, j2 in _blocks(old, new):
        if tag == "equal":
            rows += [
                Row("same", i + 1, j + 1, old_lines[i], new_lines[j])
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True)
            ]
            continue
        removed += i2 - i1
        added += j2 - j1
        common = min(i2 - i1, j2 - j1)
        for i, j in zip(range(i1, i1 + common), range(j1, j1 + common), strict=True):
            pairs += 1
            lefts, rights = _word_spans(old[i], new[j]) if pairs <= _WORD_COMPARED_PAIRS else _NO
            left, right = _mark(old_lines[i], lefts), _mark(new_lines[j], rights)
            rows.append(Row("change", i + 1, j + 1, left, right))
        rows += [Row("del", i + 1, None, old_lines[i], []) for i in range(i1 + common, i2)]
        rows += [Row("add", None, j + 1, [], new_lines[j]) for j in range(j1 + common, j2)]
    return FileDiff(path, rows, added, removed)


def plain_file(path: str, source: str) -> FileDiff:
    """A file to read, compared with itself."""
    return diff_file(path, source, source)


_NO: tuple[list[Span], list[Span]] = ([], [])


def _blocks(old: list[str], new: list[str]) -> Iterator[Block]:
    """Opcodes of :mod:`difflib`; the equal ends are cut off first, for they cost nothing."""
    shortest = min(len(old), len(new))
    head = next((n for n in range(shortest) if old[n] != new[n]), shortest)
    rest = shortest - head
    tail = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if head:
        yield "equal", 0, head, 0, head
    if len(middle_old) + len(middle_new) > _COMPARED_LINES:
        yield "replace", head, len(old) - tail, head, len(new) - tail
    else:
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, middle_old, middle_new).get_opcodes():
            yield tag, i1 + head, i2 + head, j1 + head, j2 + head
    if tail:
        yield "equal", len(old) - tail, len(old), len(new) - tail, len(new)


def _word_spans(left: str, right: str) -> tuple[list[Span], list[Span]]:
    """Which characters of two similar lines differ, counted in what :func:`reveal` shows."""
    left, right = reveal(left), reveal(right)
    if max(len(left), len(right)) > _WORD_COMPARED_CHARS:
        return _NO
    a: list[str] = _WORDS.findall(left)
    b: list[str] = _WORDS.findall(right)
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if matcher.ratio() < _SIMILAR:
        return _NO
    a_at, b_at = _offsets(a), _offsets(b)
    lefts: list[Span] = []
    rights: list[Span] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        # A changed indent says nothing that the line does not say.
        if i2 > i1 and (i1 or "".join(a[i1:i2]).strip()):
            lefts.append((a_at[i1], a_at[i2]))
        if j2 > j1 and (j1 or "".join(b[j1:j2]).strip()):
            rights.append((b_at[j1], b_at[j2]))
    return lefts, rights


def _offsets(words: list[str]) -> list[int]:
    offsets = [0]
    for word in words:
        offsets.append(offsets[-1] + len(word))
    return offsets


def _mark(segments: list[Segment], spans: list[Span]) -> list[Segment]:
    """Mark the parts of a line that lie inside the given character spans."""
    if not spans:
        return segments
    result: list[Segment] = []
    position = 0
    for segment in segments:
        start = 0
        while start < len(segment.text):
            here = position + start
            inside = next((end for begin, end in spans if begin <= here < end), None)
            ends = [inside] if inside is not None else [b for b, _ in spans if here < b]
            stop = min([len(segment.text), *(end - position for end in ends)])
            result.append(Segment(segment.text[start:stop], segment.css, inside is not None))
            start = stop
        position += len(segment.text)
    return result
