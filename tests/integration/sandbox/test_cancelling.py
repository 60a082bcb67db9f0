"""``DELETE /runs/<run_id>``: a run ends before its time, and says so."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from sandbox.contract import DUPLICATE_RUN_STATUS, EVENTS_MEDIA_TYPE, ErrorKind, RunResult
from tests.integration.sandbox.held import ONE, held_run, run_of
from tests.integration.sandbox.processes import leaves_below, wait_one_gone
from tests.integration.sandbox.running import RunningService
from tests.integration.sandbox.web import Web


def start(
    service: RunningService, body: dict[str, Any], **headers: str
) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(service.client.post("/runs", json=body, headers=headers))


async def cancel(service: RunningService, run_id: str) -> int:
    response = await service.client.delete(f"/runs/{quote(run_id)}")
    return response.status_code


async def arrived(web: Web) -> None:
    async with asyncio.timeout(30):
        await web.arrived.wait()


@pytest.mark.parametrize("run_id", ["plain", "with/slash and space?", "é%2F"])
async def test_a_cancelled_run_says_so_with_what_it_did_until_then(
    narrow: RunningService, held_web: Web, run_id: str
) -> None:
    run = start(narrow, held_run(held_web, run_id=run_id))
    await arrived(held_web)
    processes = leaves_below(narrow.process.pid)

    status = await cancel(narrow, run_id)
    result = RunResult.model_validate_json((await run).content)

    await wait_one_gone(processes)
    assert status == 204
    assert result.error is not None
    assert result.error.kind == ErrorKind.CANCELLED
    assert result.stdout == "begun\n"
    assert [record.host for record in result.egress] == ["localhost"]


async def test_a_streamed_run_is_cancelled_the_same_way(
    narrow: RunningService, held_web: Web
) -> None:
    run = start(narrow, held_run(held_web, run_id="a"), accept=EVENTS_MEDIA_TYPE)
    await arrived(held_web)

    status = await cancel(narrow, "a")
    printed, last = map(json.loads, (await run).text.splitlines())

    assert status == 204
    assert printed == {"stdout": "begun\n"}
    assert last["result"]["error"]["kind"] == "cancelled"


async def test_a_run_that_waits_is_cancelled_and_leaves_the_queue(
    narrow: RunningService, held_web: Web
) -> None:
    first = start(narrow, held_run(held_web))
    await arrived(held_web)
    second = start(narrow, held_run(held_web, run_id="second"))
    while await cancel(narrow, "second") != 204:
        pass
    result = RunResult.model_validate_json((await second).content)
    held_web.release.set()

    assert result.error is not None
    assert result.error.kind == ErrorKind.CANCELLED
    assert RunResult.model_validate_json((await first).content).ok
    assert (await narrow.run(ONE)).ok


async def test_only_a_run_in_progress_can_be_cancelled(
    narrow: RunningService, held_web: Web
) -> None:
    never = await cancel(narrow, "never")
    await narrow.client.post("/runs", json=run_of(ONE, run_id="over"))
    over = await cancel(narrow, "over")
    nameless = await narrow.client.delete("/runs/")

    assert (never, over, nameless.status_code) == (404, 404, 404)


async def test_a_name_is_used_by_one_run_at_a_time(narrow: RunningService, held_web: Web) -> None:
    first = start(narrow, held_run(held_web, run_id="same"))
    await arrived(held_web)

    second = await narrow.client.post("/runs", json=held_run(held_web, run_id="same"))
    held_web.release.set()

    assert second.status_code == DUPLICATE_RUN_STATUS
    assert second.json()["title"] == "Duplicate run"
    assert RunResult.model_validate_json((await first).content).ok
    again = await narrow.client.post("/runs", json=run_of(ONE, run_id="same"))
    assert again.status_code == 200


async def test_cancelling_needs_the_key(narrow: RunningService, held_web: Web) -> None:
    run = start(narrow, held_run(held_web, run_id="mine"))
    await arrived(held_web)

    refused = await narrow.client.delete("/runs/mine", headers={"x-mcpbox-sandbox-key": "wrong"})
    held_web.release.set()

    assert refused.status_code == 401
    assert RunResult.model_validate_json((await run).content).ok
