"""A part of a page that is built from data, and again when the data changed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from ui.parts import box
from ui.visit import Visit

Data = TypeVar("Data")


class Section(Generic[Data]):
    """``show`` builds the part from what ``load`` answers; equal data is not built twice."""

    def __init__(
        self,
        visit: Visit,
        load: Callable[[], Awaitable[Data]],
        show: Callable[[Data], None],
        classes: str = "",
    ) -> None:
        self._visit = visit
        self._load = load
        self._show = show
        self._shown: Data | None = None
        self._place = box(classes)
        self._one_at_a_time = asyncio.Lock()

    async def refresh(self) -> None:
        async with self._one_at_a_time:  # an older answer must not replace a newer one
            data = await self._load()
            if data == self._shown or self._place.is_deleted:
                return
            self._shown = data
            self._place.clear()
            with self._place:
                self._show(data)
