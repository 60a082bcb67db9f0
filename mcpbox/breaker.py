"""A circuit breaker: what was not reached so often in a row is left alone until it answers."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import structlog

from mcpbox.domain.errors import Unavailable

FAILURES = 5
_PROBE_EVERY_S = 0.5
log = structlog.get_logger()


class Breaker:
    """It counts whether there was an answer, never what the answer says: a failing tool is one."""

    def __init__(
        self,
        part: str,
        *,
        failures: int = FAILURES,
        rest_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``part`` is what it stands before, as the beginning of a sentence.

        ``rest_s``: of a part that nobody probes, how long it is left alone before one call is let
        through to find out.
        """
        self._part = part
        self._most = failures
        self._rest_s = rest_s
        self._clock = clock
        self._tried_at = 0.0
        self._in_a_row = 0
        self._in_question = anyio.Event()
        self.is_open = False
        self.times_opened = 0

    def require_closed(self) -> None:
        """Raises: Unavailable: nothing is sent before it has answered a probe."""
        if self.is_open and not self._lets_one_through():
            raise Unavailable(
                self._part,
                f"It did not answer {self._most} times in a row, so nothing is sent to it before "
                "it does; nothing was run. Try again in a few seconds.",
            )

    def answered(self) -> None:
        self._in_a_row = 0
        if self.is_open:
            self.is_open = False
            log.info("breaker.closed", part=self._part)

    def failed(self) -> None:
        self._in_a_row += 1
        if self._in_a_row >= self._most and not self.is_open:
            self.is_open = True
            self.times_opened += 1
            self._tried_at = self._clock()
            self._in_question.set()
            log.error("breaker.opened", part=self._part, failures=self._in_a_row)

    def doubt(self) -> None:
        """It took too long, and may only be busy: probes find out."""
        self._in_question.set()

    def _lets_one_through(self) -> bool:
        if self._rest_s is None or self._clock() - self._tried_at < self._rest_s:
            return False
        self._tried_at = self._clock()
        return True

    async def run(self, probe: Callable[[], Awaitable[object]]) -> None:
        """While it is open or in doubt, probe: so nobody's call is the one that is tried.

        ``probe`` passes :meth:`answered` or :meth:`failed` on its way, and may raise Unavailable.
        """
        while True:
            await self._in_question.wait()
            self._in_question = anyio.Event()
            while True:
                with suppress(Unavailable):
                    await probe()
                if not self._in_a_row:
                    break
                await anyio.sleep(_PROBE_EVERY_S)
