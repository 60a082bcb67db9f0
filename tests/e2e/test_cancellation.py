"""A client that gives a call up ends the tool that runs for it, down to its process."""

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.contract import API_KEY_HEADER
from tests.e2e.publishing import released
from tests.instances import Installed
from tests.mcp_clients import ERAS, Author, Era, author_on
from tests.reviewing import Reviewer, eventually

SLEEPS = """import asyncio

async def main(seconds: int) -> int:
    print("begun")
    await asyncio.sleep(seconds)
    return 1
"""
LONG = {"seconds": 50}
Call = tuple[str, dict[str, Any]]


async def metric(instance: Installed, name: str, **labels: str) -> float:
    environment = instance.process_environment()
    transport = httpx.AsyncHTTPTransport(uds=environment["MCPBOX_SANDBOX_SOCKET"])
    key = {API_KEY_HEADER: environment["MCPBOX_SANDBOX_API_KEY"]}
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        told = (await client.get("/metrics", headers=key)).text
    [value] = [
        sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name == f"mcpbox_sandbox_{name}" and sample.labels == labels
    ]
    return value


async def begun(author: Author, call: Call) -> "asyncio.Task[object]":
    """The call, once its tool has said that it runs."""
    said = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert (progress, total, message) == (len("begun\n"), None, "begun")
        said.set()

    name, arguments = call
    calling = asyncio.ensure_future(
        author.client.call_tool(name, arguments, progress_callback=hear)
    )
    async with asyncio.timeout(20):
        await said.wait()
    return calling


async def a_trial(author: Author, _: Reviewer) -> Call:
    draft = await author.draft(SLEEPS)
    return "mcpbox_test_code", {"tool_id": draft.tool_id, "arguments": LONG}


async def a_released_call(author: Author, reviewer: Reviewer) -> Call:
    draft = await released(author, reviewer, SLEEPS)
    return draft.callable_name, LONG


CALLS = {"released": a_released_call, "trial": a_trial}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_call_kills_its_tool(
    instance: Installed, reviewer: Reviewer, era: Era, kind: str
) -> None:
    async with author_on(instance, era) as author:
        call = await CALLS[kind](author, reviewer)
        before = await metric(instance, "kills_total", reason="abandoned")
        calling = await begun(author, call)

        calling.cancel()

        async def killed() -> bool:
            return await metric(instance, "kills_total", reason="abandoned") == before + 1

        await eventually(killed)
        assert await metric(instance, "running") == 0
        await author.tool_names()
