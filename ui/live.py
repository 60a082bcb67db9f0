"""Tells open pages that something changed, with a pause after each time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from nicegui import Client, background_tasks

Topic = Literal[
    "requests",
    "catalog",
    "executions",
    "clients",
    "audit",
    "policy",
    "recovery",
    "notices",
    "people",
    "sources",
]
Reaction = Callable[[], Awaitable[None]]

GAP_S = 0.5
BUSY_GAP_S = 2.0
"""For topics that change with every call of a tool."""


class Live:
    """The composition root emits what the database notified; pages follow what they show."""

    def __init__(self) -> None:
        self._followers: set[_Follower] = set()

    def emit(self, topic: str, key: str) -> None:
        """Something of this topic changed: ``key``, or anything where it is empty.

        To be called on the event loop of the panel. Pages load afresh what they show, so they need
        no key.
        """
        del key
        for follower in list(self._followers):
            follower.offer(topic)

    def follow(
        self,
        client: Client,
        topics: frozenset[Topic],
        react: Reaction,
        *,
        gap_s: float = GAP_S,
    ) -> None:
        """Call ``react`` at once after a change, then not for ``gap_s``; ends with the browser."""
        follower = _Follower(client, topics, react, gap_s)
        self._followers.add(follower)
        client.on_delete(lambda: self._followers.discard(follower))

    @property
    def follower_count(self) -> int:
        return len(self._followers)


class _Follower:
    """One page's interest; a burst of changes becomes one reaction now and one at its end."""

    def __init__(
        self, client: Client, topics: frozenset[Topic], react: Reaction, gap_s: float
    ) -> None:
        self._client = client
        self._topics: frozenset[str] = topics
        self._react = react
        self._gap_s = gap_s
        self._changed = False
        self._running = False

    def offer(self, topic: str) -> None:
        if topic not in self._topics:
            return
        self._changed = True
        if not self._running:
            self._running = True
            background_tasks.create(self._work(), name=f"panel follows {topic}")

    async def _work(self) -> None:
        try:
            while self._changed and not self._client.is_deleted:
                self._changed = False
                with self._client:
                    await self._react()
                await asyncio.sleep(self._gap_s)
        finally:
            self._running = False
