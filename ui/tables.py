"""Tables and pagers of the pages that list things."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from mcpbox.domain.base import Page
from ui.parts import box, link, text
from ui.visit import Visit


@contextmanager
def table(label: str, columns: Sequence[tuple[str, str]]) -> Generator[None]:
    """``columns``: heading and classes, in order; the rows are built in the body."""
    with box("table-scroll"), box("list", "table", aria_label=label):
        with box("", "thead"), box("", "tr"):
            for heading, classes in columns:
                text(heading, classes, "th", scope="col")
        with box("", "tbody"):
            yield


def row_link(label: str, target: str, *, classes: str = "mono") -> None:
    """The link of a row covers the whole row."""
    with link(target, f"row-link {classes}"):
        text(label)


def pager(visit: Visit, page: Page[Any]) -> None:
    """Where this page stands in the list; nothing when it is all of it."""
    if page.pages <= 1 and page.page == 1:
        return
    first = (page.page - 1) * page.page_size + 1
    last = first + len(page.items) - 1
    with box("pager", "nav", aria_label="Pages of the list"):
        words = (
            f"{first}\N{EN DASH}{last} of {page.total}"
            if page.items
            else f"None of {page.total} here"
        )
        text(words, "grow")
        before = min(page.page - 1, page.pages)
        _step(visit, "Previous", before, possible=page.page > 1)
        _step(visit, "Next", page.page + 1, possible=page.page < page.pages)


def _step(visit: Visit, label: str, number: int, *, possible: bool) -> None:
    if not possible:
        text(label, "off")
        return
    with link(visit.here(page=str(number) if number > 1 else "")):
        text(label)


def filter_links(visit: Visit, label: str, name: str, options: Sequence[tuple[str, str]]) -> None:
    """Links that change one word of the query; ``options``: value and words, "" is all."""
    chosen = visit.query.get(name, "")
    with box("seg", "nav", aria_label=label):
        for value, words in options:
            with link(visit.here(**{name: value, "page": ""})) as option:
                text(words)
            if value == chosen:
                option.classes("on").props("aria-current=true")
