"""What Prometheus is told of a gateway: counts and durations, no name of a tool, host or person."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission import Admission, Turned
from gateway.announcer import Announcer
from gateway.catalog import Catalog
from gateway.execution_log import ExecutionLog
from gateway.loopback import is_local
from gateway.passing import Passing
from gateway.rates import Limited, Rates
from gateway.turns import Turns
from mcpbox.breaker import Breaker
from mcpbox.domain.executions import Execution, ExecutionOutcome

_PREFIX = "mcpbox_gateway_"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class CallMetrics:
    """Of calls of released tools; what a call needs of it is looked up beforehand."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        calls = Counter(
            f"{_PREFIX}calls",
            "Calls of released tools that ended, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self._calls = {outcome: calls.labels(outcome) for outcome in ExecutionOutcome}
        passed_on = Counter(
            f"{_PREFIX}source_calls",
            "Calls of tools of external sources that ended, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self._passed_on = {outcome: passed_on.labels(outcome) for outcome in ExecutionOutcome}
        self._duration = self._histogram("call_duration_seconds", "From its arrival to its answer.")
        self._wait = self._histogram("queue_wait_seconds", "Before a call or trial may begin.")

    def ended(self, execution: Execution, *, passed_on: bool) -> None:
        self._calls[execution.outcome].inc()
        if passed_on:
            self._passed_on[execution.outcome].inc()
        self._duration.observe(execution.duration_ms / 1000)

    def waited(self, seconds: float) -> None:
        self._wait.observe(seconds)

    def _histogram(self, name: str, about: str) -> Histogram:
        return Histogram(f"{_PREFIX}{name}", about, buckets=_SECONDS, registry=self.registry)


@dataclass(frozen=True, slots=True, eq=False)
class GatewayMetrics(Collector):
    """``/metrics``; what the parts count themselves is read at each scrape."""

    calls: CallMetrics
    rates: Rates
    admission: Admission
    turns: Turns
    passing: Passing
    breaker: Breaker
    catalog: Catalog
    announcer: Announcer
    executions: ExecutionLog
    postgres_lost_at: Callable[[], float | None]
    token: SecretStr | None
    """Opens it to whoever asks from elsewhere."""

    def __post_init__(self) -> None:
        self.calls.registry.register(self)

    def answer(self, request: Request) -> Response:
        """Raises: HTTPException: to whom it does not concern, it does not exist."""
        if not is_local(request) and not self._knows_token(request):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return Response(generate_latest(self.calls.registry), media_type=CONTENT_TYPE_LATEST)

    def collect(self) -> Iterator[Metric]:
        yield _counts(
            "rate_limited",
            "Requests and calls refused by a rate limit.",
            "limit",
            ((limit, self.rates.refused[limit]) for limit in Limited),
        )
        yield _counts(
            "turned_away",
            "Requests of whoever is not let in.",
            "reason",
            ((reason, self.admission.turned_away[reason]) for reason in Turned),
        )
        for name, about, count in (
            (
                "queue_refused",
                "Turned away by a full queue, or tired of waiting.",
                self.turns.refused,
            ),
            ("breaker_openings", "How often the sandbox was given up.", self.breaker.times_opened),
            (
                "executions_dropped",
                "Rows that the full execution log lost.",
                self.executions.dropped,
            ),
        ):
            yield CounterMetricFamily(_PREFIX + name, about, value=count)
        for name, about, value in (
            ("calls_running", "Calls and trials that have a place, now.", self.turns.running),
            ("calls_waiting", "Calls and trials that wait for one, now.", self.turns.waiting),
            ("breaker_open", "1: nothing is sent to the sandbox.", self.breaker.is_open),
            ("source_sessions", "With external sources, now.", self.passing.sessions),
            (
                "source_breakers_open",
                "External sources that nothing is sent to, now.",
                self.passing.open_breakers,
            ),
            ("sessions", "Clients that hear of changes, now.", len(self.announcer)),
            ("released_tools", "Tools in memory, now.", len(self.catalog)),
            (
                "catalog_trusted",
                "0: no tool is run, for it may be withdrawn.",
                self.catalog.trusted,
            ),
            ("postgres_connected", "0: changes do not arrive.", self.postgres_lost_at() is None),
            ("execution_log_backlog", "Rows not written yet.", self.executions.backlog),
        ):
            yield GaugeMetricFamily(_PREFIX + name, about, value=float(value))

    def _knows_token(self, request: Request) -> bool:
        if self.token is None or not self.token.get_secret_value():
            return False
        given = request.headers.get("authorization", "").encode()
        return compare_digest(given, f"Bearer {self.token.get_secret_value()}".encode())


def _counts(
    name: str, about: str, label: str, counts: Iterable[tuple[str, int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(_PREFIX + name, about, labels=[label])
    for value, count in counts:
        family.add_metric([value], count)
    return family
