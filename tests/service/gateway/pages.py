"""Pages of what a twin holds in memory."""

from collections.abc import Sequence
from typing import Any

from mcpbox.domain.base import Page, PageRequest


def page_of(items: Sequence[Any], wanted: PageRequest) -> Page[Any]:
    end = wanted.offset + wanted.page_size
    return Page[Any](
        items=list(items[wanted.offset : end]),
        total=len(items),
        page=wanted.page,
        page_size=wanted.page_size,
    )
