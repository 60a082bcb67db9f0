"""The execution log, written in batches beside the call path."""

import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, cast

import anyio
import structlog

from mcpbox.domain.errors import Unavailable
from mcpbox.domain.executions import (
    ERROR_MAX_CHARS,
    RESULT_MAX_CHARS,
    STDOUT_MAX_CHARS,
    Execution,
)
from mcpbox.logs import REDACTED, is_secret_name

BATCH_ROWS = 200
BATCH_S = 0.2
CAPACITY = 10_000
CLOSE_TIMEOUT_S = 3.0
_RETRY_S = 1.0
_VALUE_MAX_CHARS = 2_000
_ITEMS_MAX = 100
_DEPTH_MAX = 6
_KEY = re.compile(r"(^|[_-])key$", re.IGNORECASE)

log = structlog.get_logger()
Write = Callable[[Sequence[Execution]], Awaitable[None]]


class ExecutionLog:
    """Rows wait while Postgres is away; past ``capacity`` the newest are dropped and counted."""

    def __init__(self, write: Write, *, capacity: int = CAPACITY) -> None:
        self._write = write
        self._capacity = capacity
        self._waiting: deque[Execution] = deque()
        self._arrived = anyio.Event()
        self._full = anyio.Event()
        self._flushing = anyio.Lock()
        self.dropped = 0

    @property
    def backlog(self) -> int:
        return len(self._waiting)

    def add(self, execution: Execution) -> None:
        if len(self._waiting) >= self._capacity:
            self.dropped += 1
            if self.dropped % self._capacity == 1:
                log.error("executions.dropped", dropped=self.dropped, backlog=self.backlog)
            return
        self._waiting.append(_fit_to_keep(execution))
        self._arrived.set()
        if len(self._waiting) >= BATCH_ROWS:
            self._full.set()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            with anyio.move_on_after(BATCH_S):
                await self._full.wait()
            try:
                await self.flush()
            except Unavailable:
                log.warning("executions.write_failed", backlog=self.backlog)
                await anyio.sleep(_RETRY_S)

    async def flush(self) -> None:
        """Raises: Unavailable: what was not written is kept."""
        async with self._flushing:  # the last flush begins while another one may be under way
            while self._waiting:
                batch = [self._waiting[n] for n in range(min(BATCH_ROWS, len(self._waiting)))]
                await self._write(batch)
                for _ in batch:
                    self._waiting.popleft()
            self._arrived, self._full = anyio.Event(), anyio.Event()

    async def close(self) -> None:
        with anyio.move_on_after(CLOSE_TIMEOUT_S), suppress(Unavailable):
            await self.flush()
        if self._waiting:
            log.error("executions.lost", rows=self.backlog)


def _fit_to_keep(execution: Execution) -> Execution:
    return execution.model_copy(
        update={
            "arguments": _kept(execution.arguments),
            "result": _text(execution.result, RESULT_MAX_CHARS),
            "error": _text(execution.error, ERROR_MAX_CHARS),
            "stdout": _text(execution.stdout, STDOUT_MAX_CHARS),
        }
    )


def _kept(value: Any, depth: int = 0) -> Any:
    """Secrets out by the name of their key, bulk cut: the log is no copy of what was sent."""
    if isinstance(value, str):
        return _text(value, _VALUE_MAX_CHARS)
    if not isinstance(value, dict | list):
        return value
    if depth == _DEPTH_MAX:
        return "…"
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_kept(inner, depth + 1) for inner in items[:_ITEMS_MAX]]
    pairs = cast("dict[str, Any]", value)
    return {
        _text(name, _VALUE_MAX_CHARS): REDACTED if _is_secret(name) else _kept(inner, depth + 1)
        for name, inner in islice(pairs.items(), _ITEMS_MAX)
    }


def _is_secret(name: str) -> bool:
    return is_secret_name(name) or bool(_KEY.search(name))


def _text(text: str, max_chars: int) -> str:
    """Cut, and without the one character that Postgres cannot keep."""
    text = text.replace("\x00", "�")
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
