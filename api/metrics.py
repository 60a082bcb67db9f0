"""``/metrics`` for Prometheus: what the database knows, read at each scrape."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.deps import PartsDep
from mcpbox.store.counts import executions_by_outcome, requests_by_state
from mcpbox.store.probations import counts_by_state
from mcpbox.store.session import transaction

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(parts: PartsDep) -> Response:
    """Counts only: no name of a tool, server or person is a label."""
    async with transaction(parts.sessions) as session:
        requests = await requests_by_state(session)
        executions = await executions_by_outcome(session)
        probations = await counts_by_state(session)
    registry = CollectorRegistry()
    requests_gauge = Gauge(
        "mcpbox_requests", "Change requests by state.", ["state"], registry=registry
    )
    for state, count in requests.items():
        requests_gauge.labels(state).set(count)
    executions_gauge = Gauge(
        "mcpbox_executions",
        "Executions in the log by origin and outcome.",
        ["origin", "outcome"],
        registry=registry,
    )
    for (origin, outcome), count in executions.items():
        executions_gauge.labels(origin, outcome).set(count)
    probations_gauge = Gauge(
        "mcpbox_probations",
        "Releases on probation that run, and those that ended, by cause.",
        ["state"],
        registry=registry,
    )
    for state, count in probations.items():
        probations_gauge.labels(state).set(count)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
