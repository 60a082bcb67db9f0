"""``/metrics`` for Prometheus: what the database knows, read at each scrape."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.deps import PartsDep
from mcpbox.store.counts import (
    audit_events_by_action,
    automatic_decisions,
    executions_by_outcome,
    forced_by_review,
    requests_by_state,
)
from mcpbox.store.external_sources import sources_by_state
from mcpbox.store.notices import deliveries_by_outcome
from mcpbox.store.people import users_by_state
from mcpbox.store.probations import counts_by_state
from mcpbox.store.recovery import recoveries_by_state
from mcpbox.store.session import reading

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(parts: PartsDep) -> Response:
    """Counts only: no name of a tool, server or person is a label."""
    async with reading(parts.sessions) as session:
        requests = await requests_by_state(session)
        automatic = await automatic_decisions(session)
        forced = await forced_by_review(session)
        executions = await executions_by_outcome(session)
        events = await audit_events_by_action(session)
        recoveries = await recoveries_by_state(session)
        deliveries = await deliveries_by_outcome(session)
        probations = await counts_by_state(session)
        users = await users_by_state(session)
        sources = await sources_by_state(session)
    registry = CollectorRegistry()
    for name, about, label, counts in (
        ("mcpbox_requests", "Change requests by state.", "state", requests),
        (
            "mcpbox_automatic_decisions",
            "Decisions that a rule of the review policy made, by verdict.",
            "verdict",
            automatic,
        ),
        (
            "mcpbox_break_glass",
            "Approvals that one admin forced, by whether another person has reviewed them.",
            "review",
            forced,
        ),
        ("mcpbox_audit_events", "Events in the audit log by action.", "action", events),
        (
            "mcpbox_recoveries",
            "Servers by how far bringing them back after a restart of the sandbox has come.",
            "state",
            recoveries,
        ),
        (
            "mcpbox_notice_deliveries",
            "Notifications to targets outside the panel by outcome.",
            "outcome",
            deliveries,
        ),
        (
            "mcpbox_probations",
            "Releases on probation that run, and those that ended, by cause.",
            "state",
            probations,
        ),
        ("mcpbox_users", "Accounts of people by state.", "state", users),
        (
            "mcpbox_external_sources",
            "External sources by how they were when last looked at.",
            "state",
            sources,
        ),
    ):
        gauge = Gauge(name, about, [label], registry=registry)
        for value, count in counts.items():
            gauge.labels(value).set(count)
    executions_gauge = Gauge(
        "mcpbox_executions",
        "Executions in the log by origin and outcome.",
        ["origin", "outcome"],
        registry=registry,
    )
    for (origin, outcome), count in executions.items():
        executions_gauge.labels(origin, outcome).set(count)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
