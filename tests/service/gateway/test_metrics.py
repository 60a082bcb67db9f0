"""What Prometheus finds, and who else does."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tests.service.gateway.factories import a_callable, a_version, soon
from tests.service.gateway.raw import JSON_AND_SSE, LIST
from tests.service.gateway.running import METRICS_TOKEN, RunningGateway
from tests.service.gateway.world import World

ELSEWHERE = {"x-forwarded-for": "10.0.0.1"}


async def scraped(gateway: RunningGateway) -> dict[str, float]:
    """``{name and labels: value}``, as in the text."""
    async with gateway.http(None) as http:
        text = (await http.get("/metrics")).text
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_calls_are_counted_by_outcome_and_timed(
    gateway: RunningGateway, world: World
) -> None:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    async with gateway.client("2026-07-28") as client:
        await client.call_tool("calc__add", {"a": 1})
        await client.call_tool("calc__add", {"a": "no number"})
        world.sandbox.reachable = False
        await client.call_tool("calc__add", {"a": 1})
    found = await scraped(gateway)

    outcomes = ("ok", "error", "refused", "unavailable")
    counted = [found[f"mcpbox_gateway_calls_total {outcome}"] for outcome in outcomes]
    assert counted == [1, 0, 1, 1]
    assert found["mcpbox_gateway_call_duration_seconds_count"] == 3
    assert found["mcpbox_gateway_queue_wait_seconds_count"] == 2
    assert found["mcpbox_gateway_released_tools"] == 1
    assert found["mcpbox_gateway_catalog_trusted"] == 1
    assert found["mcpbox_gateway_postgres_connected"] == 1


async def test_what_runs_waits_and_was_refused_is_told(
    gateway: RunningGateway, world: World
) -> None:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    world.sandbox.may_end = asyncio.Event()
    for _ in range(5):
        world.breaker.failed()
    world.set_security(mcp_rate_limit_rpm=10)
    async with gateway.client("legacy") as client:
        call = asyncio.create_task(client.call_tool("calc__add", {"a": 1}))
        await soon(world.sandbox.started.wait())
        async with gateway.http() as http:
            while (
                "retry-after"
                not in (await http.post("/mcp", json=LIST, headers=JSON_AND_SSE)).headers
            ):
                pass
        found = await scraped(gateway)
        world.sandbox.may_end.set()
        world.set_security(mcp_rate_limit_rpm=1_000_000)
        await call

    assert found["mcpbox_gateway_calls_running"] == 1
    assert found["mcpbox_gateway_rate_limited_total client"] == 1
    assert found["mcpbox_gateway_rate_limited_total tool"] == 0
    assert found["mcpbox_gateway_breaker_openings_total"] == 1
    assert found["mcpbox_gateway_sessions"] == 1


async def test_health_says_that_the_sandbox_is_given_up(
    gateway: RunningGateway, world: World
) -> None:
    world.sandbox.reachable = False
    for _ in range(5):
        world.breaker.failed()
    async with gateway.http(None) as http:
        told = (await http.get("/health")).json()

    assert (told["status"], told["breaker"], told["calls_waiting"]) == ("degraded", "open", 0)


async def test_from_elsewhere_it_takes_the_token_and_else_does_not_exist(
    gateway: RunningGateway,
) -> None:
    async with gateway.http(None) as http:
        statuses = [
            (await http.get("/metrics", headers={**ELSEWHERE, **more})).status_code
            for more in (
                {},
                {"authorization": "Bearer"},
                {"authorization": f"Bearer {METRICS_TOKEN}x"},
                {"authorization": f"Bearer {METRICS_TOKEN}"},
            )
        ]

    assert statuses == [404, 404, 404, 200]


async def test_no_name_is_a_label(gateway: RunningGateway, world: World) -> None:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    async with gateway.client("2026-07-28") as client:
        await client.call_tool("calc__add", {"a": 1})

    assert not {name for name in await scraped(gateway) if "calc" in name or "laptop" in name}
