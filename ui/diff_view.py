"""The diff as an element of a page."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from mcpbox.domain.evidence import Finding
from ui.diff import FileDiff

Mode = Literal["split", "unified"]
Notes = dict[str, list[Finding]]


class DiffView(Element, component="static/diff_view.js", default_classes="diff"):
    """Read-only; the browser builds it from tokens, without any HTML string."""

    def __init__(
        self,
        files: Sequence[FileDiff],
        *,
        notes: Notes | None = None,
        mode: Mode = "split",
        remarks_on: str = "",
        on_remark: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """``remarks_on``: path of the file whose new lines can be picked for a remark."""
        super().__init__()
        if on_remark is not None:
            self.props["open"] = remarks_on
            self.on("remark", partial(at_line, on_remark))
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


async def at_line(
    on_remark: Callable[[int], Awaitable[None]], event: GenericEventArguments
) -> None:
    """A browser can send whatever it likes; what is no line is nothing."""
    if isinstance(event.args, int):
        await on_remark(event.args)
