"""A gateway that is watched, limited, cut off from its sandbox and killed."""

import asyncio
import os
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from mcpbox.store.session import plain_url
from tests.e2e.collector import Collector, Received, collecting
from tests.e2e.test_outages import away
from tests.instances import Installed, started_instance
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer, eventually

PRIVATE = "an-argument-that-nobody-else-reads"
TRACE_ID = f"{7:032x}"
"""Of the client's own trace."""
CALLS = 40
SAFE_S = 1.0
"""What was answered so long before a ``kill -9`` is in the log."""


@pytest.fixture(scope="module")
def collector() -> Generator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def watched(collector: Collector) -> Generator[Installed]:
    """An instance of its own that sends traces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        with started_instance() as running:
            yield running


@dataclass(frozen=True)
class Published:
    name: str
    request_id: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def published(watched: Installed) -> Published:
    async with author_on(watched) as author, watched.api() as api:
        draft = await author.draft(f"async def main(a: str) -> str:\n    return {PRIVATE!r} + a")
        request_id = await author.ask(draft, sample_arguments={"a": PRIVATE})
        await Reviewer(api).approve(request_id)

        async def listed() -> bool:
            return draft.callable_name in await author.tool_names()

        await eventually(listed)
    return Published(draft.callable_name, request_id)


async def rows_of(watched: Installed, client: str) -> int:
    connection = await asyncpg.connect(plain_url(watched.database_url))
    try:
        return await connection.fetchval(
            "SELECT count(*) FROM executions WHERE caller = $1", f"client:{client}"
        )
    finally:
        await connection.close()


async def test_a_call_is_traced_back_to_its_release_its_request_and_its_workflow(
    collector: Collector, watched: Installed, published: Published
) -> None:
    async with author_on(watched) as author:
        meta: Any = {"traceparent": f"00-{TRACE_ID}-{1:016x}-01"}
        await author.client.call_tool(published.name, {"a": PRIVATE}, meta=meta)

    async def called() -> list[Received]:
        name = f"tools/call {published.name}"
        return [one for one in collector.spans() if (one.name, one.trace_id) == (name, TRACE_ID)]

    [span] = await eventually(called)
    assert span.service == "mcpbox-gateway"
    assert span.attributes["mcpbox.request.id"] == published.request_id
    assert span.attributes["mcpbox.outcome"] == "ok"
    async with watched.api() as api:
        request = (await api.get(f"/requests/{published.request_id}")).json()
    assert span.attributes["mcpbox.workflow.id"] == request["workflow_id"]
    assert span.attributes["mcpbox.digest"] == request["digest"]

    async def ran() -> bool:
        return ("mcpbox-gateway", "sandbox.run", TRACE_ID) in {
            (one.service, one.name, one.trace_id) for one in collector.spans()
        }

    await eventually(ran)


async def test_the_workflow_of_a_request_is_in_the_trace_of_the_call_that_asked(
    collector: Collector, published: Published
) -> None:
    async def told() -> bool:
        asked = [one for one in collector.spans() if one.name.startswith("tools/call mcpbox_req")]
        together = {
            (one.service, one.name.partition(":")[0])
            for one in collector.spans()
            if one.trace_id in {each.trace_id for each in asked}
        }
        return together >= {
            ("mcpbox-gateway", "StartWorkflow"),
            ("mcpbox-worker", "RunWorkflow"),
            ("mcpbox-worker", "RunActivity"),
        }

    del published
    assert await eventually(told)


async def test_no_argument_result_or_code_is_in_a_trace(
    collector: Collector, published: Published
) -> None:
    del published
    assert collector.spans()
    assert not [body for body in collector.bodies if PRIVATE.encode() in body]
    assert {(span.events, span.status_text) for span in collector.spans()} == {(0, "")}


async def test_a_limit_that_an_admin_lowers_and_raises_acts_on_the_next_requests(
    watched: Installed, published: Published
) -> None:
    _, token = await asyncio.to_thread(watched.new_client, "call")

    async def limited_to(rpm: int) -> None:
        done = await asyncio.to_thread(
            watched.command,
            *("policy", "set", "--setting", f"mcp_rate_limit_rpm={rpm}", "--reason", "Test."),
        )
        assert done.returncode == 0, done.stderr

    async with author_on(watched, token=token) as caller:
        await limited_to(10)
        for _ in range(10):
            await caller.client.call_tool(published.name, {"a": ""})
        assert "10 a minute at most. Wait " in await caller.failure(published.name, a="")
        await limited_to(1_000_000)

        async def works() -> bool:
            return not (await caller.client.call_tool(published.name, {"a": ""})).is_error

        assert await eventually(works)


async def test_a_sandbox_that_is_gone_is_given_up_and_comes_back_by_itself(
    watched: Installed, published: Published
) -> None:
    health = watched.gateway_url.removesuffix("/mcp") + "/health"
    async with httpx.AsyncClient() as http, author_on(watched) as author:
        async with away(watched, "sandbox", "is gone"):
            told = [await author.failure(published.name, a="") for _ in range(6)]
            during = (await http.get(health)).json()

        async def works() -> bool:
            return not (await author.client.call_tool(published.name, {"a": ""})).is_error

        await eventually(works)
        after = (await http.get(health)).json()

    assert ["5 times in a row" in text for text in told] == [False] * 5 + [True]
    assert (during["status"], during["breaker"]) == ("degraded", "open")
    assert (after["status"], after["breaker"]) == ("ok", "closed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_the_execution_log_survives_the_end_of_its_process(
    watched: Installed, published: Published, number: signal.Signals
) -> None:
    """None is lost on SIGTERM, and the last second at most on ``kill -9``."""
    client, token = await asyncio.to_thread(watched.new_client, "call")
    gateway = (await asyncio.to_thread(watched.status))["gateway"]
    answered: list[float] = []
    async with author_on(watched, token=token) as author:
        while len(answered) < CALLS or answered[-1] - answered[0] < 1.5 * SAFE_S:
            await author.call(published.name, a="")
            answered.append(time.monotonic())
        killed_at = time.monotonic()
        os.kill(gateway["pid"], number)
    await asyncio.to_thread(watched.wait_until_restarted, {"gateway": gateway["restarts"]})

    written = await rows_of(watched, client)
    safe = [at for at in answered if number is signal.SIGTERM or at < killed_at - SAFE_S]
    assert len(safe) > 10
    assert len(safe) <= written <= len(answered)
