"""Two gateways, each with a sandbox of its own, on one Postgres: they differ in nothing."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio
from mcp import MCPError

from tests.e2e.publishing import listed, released
from tests.e2e.replicas import Replicas, replicas_of
from tests.instances import Installed
from tests.mcp_clients import ERAS, Author, author_on
from tests.reviewing import Reviewer, eventually

log = logging.getLogger(__name__)
SLOW = """import asyncio

async def main(a: int) -> dict:
    print("begun")
    await asyncio.sleep(1)
    return {"sum": a}
"""
CALLS = 3
"""In flight at once on each gateway; a server may run more."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def second(instance: Installed) -> AsyncGenerator[Replicas]:
    with replicas_of(instance) as replicas:
        await replicas.ready()
        yield replicas


async def test_what_is_decided_is_callable_through_both_and_their_clients_are_told(
    instance: Installed,
    second: Replicas,
    reviewer: Reviewer,
) -> None:
    async with AsyncExitStack() as stack:
        one, two = [
            [await stack.enter_async_context(author_on(where, era)) for era in ERAS]
            for where in (instance, second.installed)
        ]
        for asking, following in ((one[0], two[0]), (two[1], one[1])):
            draft = await asking.draft()
            request_id = await asking.ask(draft, sample_arguments={"a": 1})
            await reviewer.when(request_id, "awaiting_decision")
            waiting = asyncio.create_task(
                following.call("mcpbox_wait_for_request", request_id=request_id)
            )
            for author in (*one, *two):
                author.changed.clear()
            hearing = [asyncio.create_task(heard(author)) for author in (*one, *two)]
            began = time.perf_counter()
            assert (await reviewer.approve(request_id))["state"] == "applied"
            told = [await task - began for task in hearing]
            log.info("list_changed after %s ms", [round(1000 * each) for each in told])

            assert (await waiting)["moved"] is True
            for author in (*one, *two):
                await listed(author, draft.callable_name)
                assert await author.call(draft.callable_name, a=1) == {"sum": 3}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("victim", ["gateway", "sandbox"])
async def test_i7_kill_9_of_a_replica_loses_no_call_that_was_accepted_and_touches_no_other(
    instance: Installed, second: Replicas, reviewer: Reviewer, victim: str
) -> None:
    async with author_on(instance) as author, author_on(second.installed) as cut_off:
        draft = await released(author, reviewer, SLOW)
        await listed(cut_off, draft.callable_name)
        there = [await begun(author, draft.callable_name) for _ in range(CALLS)]
        here = [await begun(cut_off, draft.callable_name) for _ in range(CALLS)]

        second.kill(victim)

        assert await asyncio.gather(*there) == ["ok"] * CALLS
        # Its callers know, at once, that there is no answer; nobody repeats the call for them.
        ended = await asyncio.gather(*here)
        assert ended == [{"gateway": "cut off", "sandbox": "refused"}[victim]] * CALLS
        second.start(victim)
        await second.ready()
        if victim == "sandbox":
            assert await cut_off.call(draft.callable_name, a=1) == {"sum": 1}
    async with author_on(second.installed) as back:
        assert await back.call(draft.callable_name, a=1) == {"sum": 1}

    known = {"ok": CALLS + 1} if victim == "gateway" else {"ok": CALLS + 2, "unavailable": CALLS}

    async def all_logged() -> bool:
        page = await reviewer.get(f"/executions?tool_id={draft.tool_id}&origin=call")
        return Counter(run["outcome"] for run in page["items"]) == known

    await eventually(all_logged)


async def heard(author: Author) -> float:
    """When it was told."""
    async with asyncio.timeout(20):
        await author.changed.wait()
    return time.perf_counter()


async def begun(author: Author, name: str) -> "asyncio.Task[str]":
    """How the call ends, once its tool has said that it runs."""
    said = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.set()

    async def call() -> str:
        try:
            result = await author.client.call_tool(name, {"a": 1}, progress_callback=hear)
        except (MCPError, httpx.TransportError):
            return "cut off"
        return "refused" if result.is_error else "ok"

    calling = asyncio.create_task(call())
    async with asyncio.timeout(20):
        await said.wait()
    return calling
