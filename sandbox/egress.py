"""What one call did on the network, and how much of it it may do."""

import time
from dataclasses import dataclass, field

from sandbox.channel import MAX_BODY_BYTES
from sandbox.contract import EgressRecord

_MAX_RECORDS = 100


@dataclass(frozen=True)
class Caps:
    """Of one call."""

    requests: int = 50
    attempts: int = 255
    """Refused ones too; our own client asks no more often, and a child that does is killed."""
    at_once: int = 8
    request_bytes: int = MAX_BODY_BYTES
    sending_bytes: int = 20 * 2**20
    """Of all requests that are under way: they wait in the memory of the service."""
    response_bytes: int = 10 * 2**20
    received_bytes: int = 40 * 2**20
    head_bytes: int = 64 * 2**10
    """Of the headers of one response."""
    request_s: float = 60.0
    """From the first byte sent to the last one received."""


DEFAULT_CAPS = Caps()


@dataclass
class Attempt:
    method: str = "?"
    host: str = "?"
    status: int | None = None
    refused: str | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    _began: float = field(default_factory=time.perf_counter)
    _ended: float | None = None

    def end(self) -> None:
        self._ended = time.perf_counter()

    def record(self) -> EgressRecord:
        spent_s = (self._ended or time.perf_counter()) - self._began
        return EgressRecord(
            method=self.method,
            host=self.host,
            status=self.status,
            refused=self.refused,
            sent_bytes=self.sent_bytes,
            received_bytes=self.received_bytes,
            duration_ms=round(spent_s * 1000, 3),
        )


class Log:
    """Every attempt counts, and the first hundred are kept."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Attempt] = []

    def begin(self) -> Attempt:
        attempt = Attempt()
        self.count += 1
        if self.count <= _MAX_RECORDS:
            self._kept.append(attempt)
        return attempt

    def records(self) -> tuple[EgressRecord, ...]:
        """In the order asked; refused ones too. What was not kept is told by a last one."""
        kept = [attempt.record() for attempt in self._kept]
        if self.count > _MAX_RECORDS:
            more = f"… and {self.count - _MAX_RECORDS} more"
            kept.append(EgressRecord(method="", host="", refused=more))
        return tuple(kept)
