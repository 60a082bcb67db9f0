"""The diff as an element of a page."""

from collections.abc import Sequence
from typing import Literal

from nicegui.element import Element

from mcpbox.domain.evidence import Finding
from ui.diff import FileDiff

Mode = Literal["split", "unified"]
Notes = dict[str, list[Finding]]


class DiffView(Element, component="static/diff_view.js", default_classes="diff"):
    """Read-only; the browser builds it from tokens, without any HTML string."""

    def __init__(
        self, files: Sequence[FileDiff], *, notes: Notes | None = None, mode: Mode = "split"
    ) -> None:
        super().__init__()
        notes = notes or {}
        self.props["files"] = [
            file.as_props(frozenset(note.line for note in notes.get(file.path, ()) if note.line))
            for file in files
        ]
        self.props["notes"] = {
            path: [note.model_dump(mode="json") for note in found] for path, found in notes.items()
        }
        self.props["mode"] = mode

    def show_as(self, mode: Mode) -> None:
        self.props["mode"] = mode
