"""What Prometheus is told: counts and durations, never a name of a tool, server or host."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from sandbox.admission import Busy
from sandbox.contract import BusyLimit, EgressRecord, ErrorKind, RunResult

MEDIA_TYPE = CONTENT_TYPE_LATEST
_PREFIX = "mcpbox_sandbox_"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_KILLED = {ErrorKind.WALL: "wall", ErrorKind.CPU: "cpu", ErrorKind.CANCELLED: "cancelled"}
_OUTCOMES = ("ok", *ErrorKind)

Gauged = Literal["running", "waiting", "idle_children", "zygotes"]
_GAUGES: dict[Gauged, str] = {
    "running": "Calls and checks that run now.",
    "waiting": "Calls and checks that wait for a place.",
    "idle_children": "Processes that are ready for a call.",
    "zygotes": "Fork servers that live.",
}


class Metrics:
    """What a call needs of it is looked up beforehand: it costs a few microseconds."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        runs = self._counter("runs", "Calls that ended, by outcome.", "outcome", "trial")
        self._runs = {
            (outcome, trial): runs.labels(outcome, str(trial).lower())
            for outcome in _OUTCOMES
            for trial in (False, True)
        }
        self._duration = self._histogram("run_duration_seconds", "Inside the tool's process.")
        self._wait = self._histogram("queue_wait_seconds", "Before a call or check may begin.")
        refused = self._counter("refused", "Turned away as busy, by limit.", "limit")
        self._refused = {limit: refused.labels(limit) for limit in BusyLimit}
        kills = self._counter("kills", "Calls ended before their time, by reason.", "reason")
        self._kills = {reason: kills.labels(reason) for reason in (*_KILLED.values(), "abandoned")}
        egress = self._counter("egress_requests", "HTTP requests that tools tried.", "outcome")
        self._egress = {
            outcome: egress.labels(outcome)
            for outcome in ("refused", "failed", "1xx", "2xx", "3xx", "4xx", "5xx")
        }
        self._rejections = self._counter("guard_rejections", "Code that the guard refused.")
        starts = self._counter("child_starts", "Processes made for calls, by outcome.", "ready")
        self._starts = {ready: starts.labels(str(ready).lower()) for ready in (True, False)}
        self._gauges = {
            name: Gauge(f"{_PREFIX}{name}", about, registry=self._registry)
            for name, about in _GAUGES.items()
        }

    def waited(self, seconds: float) -> None:
        self._wait.observe(seconds)

    def ran(self, result: RunResult, *, trial: bool) -> None:
        kind = result.error.kind if result.error is not None else None
        self._runs[kind or "ok", trial].inc()
        if kind is not None and kind in _KILLED:
            self._kills[_KILLED[kind]].inc()
        if result.duration_ms:
            self._duration.observe(result.duration_ms / 1000)
        for record in result.egress:
            self._egress[_outcome_of(record)].inc()

    def rejected(self) -> None:
        self._rejections.inc()

    def started(self, ready: bool) -> None:
        self._starts[ready].inc()

    @contextmanager
    def watching(self) -> Generator[None]:
        """A job that does not come to its end."""
        try:
            yield
        except Busy as busy:
            self._refused[busy.limit].inc()
            raise
        except asyncio.CancelledError:
            self._kills["abandoned"].inc()
            raise

    def exposition(self, gauged: dict[Gauged, int]) -> bytes:
        for name, value in gauged.items():
            self._gauges[name].set(value)
        return generate_latest(self._registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}{name}", about, labels, registry=self._registry)

    def _histogram(self, name: str, about: str) -> Histogram:
        return Histogram(f"{_PREFIX}{name}", about, buckets=_SECONDS, registry=self._registry)


def _outcome_of(record: EgressRecord) -> str:
    if record.refused is not None:
        return "refused"
    if record.status is None or not 100 <= record.status < 600:
        return "failed"
    return f"{record.status // 100}xx"
