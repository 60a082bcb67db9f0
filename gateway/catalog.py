"""Every released tool in memory, and whether that memory can still be trusted."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
import structlog
from jsonschema.protocols import Validator
from mcp_types import Tool

from gateway.released import ReleasedTool, prepare
from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.errors import Unavailable
from mcpbox.domain.ids import Digest
from mcpbox.domain.people import Principal
from mcpbox.policies.call import may_call

TRUST_S = 5.0
"""A stop or a revocation must act at once, so a memory that hears of none is soon no memory."""
_VISIBLE_MAX = 1024
_NEVER = datetime.max.replace(tzinfo=UTC)
_RETRY_S = 0.5
_RELOAD_WAIT_S = 2.0
_REST_MAX_S = 0.1
_END_MIN_WAIT_S = 0.1
"""Where Postgres' clock is behind ours, it still counts as live what has ended here."""

log = structlog.get_logger()
Load = Callable[[], Awaitable[list[CallableTool]]]
Reloaded = Callable[[bool], None]
"""Told after every reload; ``True`` when what clients can see has changed."""


@dataclass(frozen=True, slots=True)
class _Visible:
    tools: list[ReleasedTool]
    until: datetime
    """Then a grant ends, and the rule may say otherwise."""


class Catalog:
    def __init__(
        self,
        load: Load,
        lost_at: Callable[[], float | None],
        on_reloaded: Reloaded,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``lost_at``: since when no change can reach us (seconds of ``clock``), if so."""
        self._load = load
        self._lost_at = lost_at
        self._on_reloaded = on_reloaded
        self._clock = clock
        self._tools: dict[str, ReleasedTool] = {}
        self._visible: dict[Principal, _Visible] = {}
        self._validators: dict[Digest, Validator] = {}
        self._changed_at: float | None = None
        self._missed_changes = True
        self._changes = 0
        self._reconnects = 0
        self._wake = anyio.Event()
        self._current = anyio.Event()

    def __len__(self) -> int:
        return len(self._tools)

    @property
    def released(self) -> Collection[ReleasedTool]:
        return self._tools.values()

    def find(self, name: str) -> ReleasedTool | None:
        return self._tools.get(name)

    def schema_of(self, name: str) -> Mapping[str, Any] | None:
        found = self._tools.get(name)
        return None if found is None else found.listing.input_schema

    def visible_to(self, principal: Principal) -> list[ReleasedTool]:
        """By name; only what :func:`may_call` allows the principal now.

        Between two ends of grants the rule says the same again, and is not asked a thousand times.
        """
        now = utc_now()
        known = self._visible.get(principal)
        if known is not None and known.until > now:
            return known.tools
        found = [
            released
            for released in self._tools.values()
            if released.ruling and may_call(released.tool, principal, now)
        ]
        if len(self._visible) >= _VISIBLE_MAX:
            self._visible.clear()
        self._visible[principal] = _Visible(found, self._next_end_after(now))
        return found

    def changed(self) -> None:
        """Something about the released tools was committed; load them again soon."""
        self._changes += 1
        if self._changed_at is None:
            self._changed_at = self._clock()
        if self._current.is_set():
            self._current = anyio.Event()
        self._wake.set()

    def reconnected(self) -> None:
        """What was committed while nothing reached us is unknown, so nothing is trusted."""
        self._reconnects += 1
        self._missed_changes = True
        self.changed()

    @property
    def trusted(self) -> bool:
        if self._missed_changes:
            return False
        since = [at for at in (self._lost_at(), self._changed_at) if at is not None]
        return not since or self._clock() - min(since) <= TRUST_S

    async def require_trusted(self) -> None:
        """Raises: Unavailable: what is in memory may be out of date."""
        if not self.trusted and self._lost_at() is None:
            # The reload is under way: a client should not notice that we reconnected.
            with anyio.move_on_after(_RELOAD_WAIT_S):
                await self.settled()
        if not self.trusted:
            raise Unavailable(
                "Postgres",
                "Tools are not run meanwhile, because nobody could stop one; try again shortly.",
            )

    async def settled(self) -> None:
        """Until every change so far is in memory."""
        await self._current.wait()

    async def run(self) -> None:
        """Reload after every change, for ever; again and again while Postgres is away."""
        while True:
            await self._woken()
            self._wake = anyio.Event()
            began_at = self._clock()
            try:
                await self.reload()
                # Changes come in bunches: calls keep half of the time, however many there are.
                await anyio.sleep(min(self._clock() - began_at, _REST_MAX_S))
            except Unavailable:
                log.warning("catalog.reload_failed")
                await anyio.sleep(_RETRY_S)
                self._wake.set()

    async def reload(self) -> None:
        """Raises: Unavailable: what is in memory stays, and stays in doubt."""
        changes, reconnects, began_at = self._changes, self._reconnects, self._clock()
        callables = await self._load()
        before = _visible(self._tools)
        self._replace(callables)
        # Doubt ends only now, and only about what came before the load began.
        self._missed_changes = reconnects != self._reconnects
        self._changed_at = began_at if changes != self._changes else None
        if changes == self._changes:
            self._current.set()
        after = _visible(self._tools)
        tell = log.debug if before == after else log.info
        tell("catalog.loaded", tools=len(self._tools), visible=len(after))
        self._on_reloaded(before != after)

    async def _woken(self) -> None:
        """By a change, or by the moment at which a grant ends, whether or not we are told."""
        with anyio.move_on_after(self._until_next_end()):
            await self._wake.wait()
            return
        self.changed()

    def _next_end_after(self, now: datetime) -> datetime:
        ends = (end.at for tool in self._tools.values() for end in tool.tool.granted.ends)
        return min((at for at in ends if at > now), default=_NEVER)

    def _until_next_end(self) -> float | None:
        """In seconds; ``None``: nothing ends by itself."""
        ends = [end.at for tool in self._tools.values() for end in tool.tool.granted.ends]
        left = (min(ends) - utc_now()).total_seconds() if ends else None
        return None if left is None else max(left, _END_MIN_WAIT_S)

    def _replace(self, callables: list[CallableTool]) -> None:
        tools: dict[str, ReleasedTool] = {}
        ambiguous: set[str] = set()
        for callable_tool in sorted(callables, key=lambda tool: tool.name):
            released = prepare(callable_tool, self._validators)
            if released.tool.version.digest != released.tool.approved_digest:
                log.error("catalog.digest_differs", tool=released.name)
            if released.name in tools:
                ambiguous.add(released.name)
            tools[released.name] = released
        for name in ambiguous:
            # Two tools of one name: neither is the one that was approved under it.
            log.error("catalog.name_ambiguous", tool=name)
            del tools[name]
        self._tools = tools
        self._visible.clear()
        self._validators = {
            released.tool.version.digest: released.validator
            for released in tools.values()
            if released.validator is not None
        }


def _visible(tools: Mapping[str, ReleasedTool]) -> list[Tool]:
    return [released.listing for released in tools.values() if released.ruling]
