"""How often a client, a person and a tool may be used: token buckets, in memory (ADR 0033)."""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import structlog

from mcpbox.domain.errors import RateExceeded
from mcpbox.domain.ids import ToolId
from mcpbox.domain.people import Client
from mcpbox.domain.review_policy import SecuritySettings

_MINUTE_S = 60.0
_ROUNDING_S = 1e-6
_KEPT_MAX = 10_000
log = structlog.get_logger()


class Limited(StrEnum):
    CLIENT = "client"
    USER = "user"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class _Limit:
    kind: Limited
    key: str
    what: str
    per_minute: int


class Rates:
    """A bucket holds what may be done in a minute, and fills evenly.

    Of each is kept only when it will be full again, so a limit that changes acts on the next call.
    """

    def __init__(
        self,
        settings: Callable[[], SecuritySettings],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._full_at: dict[tuple[Limited, str], float] = {}
        self._told: set[tuple[Limited, str]] = set()
        self.refused: Counter[Limited] = Counter()

    def __len__(self) -> int:
        """Buckets that are kept."""
        return len(self._full_at)

    def take_request(self, client: Client) -> None:
        """Raises: RateExceeded: then it counts neither for the client nor for its owner."""
        settings = self._settings()
        self._take(
            _Limit(
                Limited.CLIENT,
                str(client.id),
                "Too many requests from this client",
                settings.mcp_rate_limit_rpm,
            ),
            _Limit(
                Limited.USER,
                client.owner,
                "Too many requests from the clients of this person",
                settings.user_rate_limit_rpm,
            ),
        )

    def take_call(self, tool_id: ToolId, name: str) -> None:
        """Raises: RateExceeded."""
        what = f"Too many calls of {name}, by all clients together"
        self._take(_Limit(Limited.TOOL, str(tool_id), what, self._settings().tool_rate_limit_rpm))

    def _take(self, *limits: _Limit) -> None:
        now = self._clock()
        full_at = [
            max(self._full_at.get((limit.kind, limit.key), now), now) + _MINUTE_S / limit.per_minute
            for limit in limits
        ]
        for limit, at in zip(limits, full_at, strict=True):
            missing_s = at - now - _MINUTE_S
            if missing_s > _ROUNDING_S:
                self._tell(limit)
                raise RateExceeded(limit.what, limit.per_minute, math.ceil(missing_s))
        if len(self._full_at) >= _KEPT_MAX:
            self._forget_full(now)
        for limit, at in zip(limits, full_at, strict=True):
            self._full_at[limit.kind, limit.key] = at
            self._told.discard((limit.kind, limit.key))

    def _tell(self, limit: _Limit) -> None:
        """Counted each time, logged once until something is let through again."""
        self.refused[limit.kind] += 1
        if (limit.kind, limit.key) not in self._told:
            self._told.add((limit.kind, limit.key))
            log.warning("rate.exceeded", limit=limit.kind, key=limit.key, rpm=limit.per_minute)

    def _forget_full(self, now: float) -> None:
        self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        self._told &= self._full_at.keys()
