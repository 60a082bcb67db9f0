"""Whatever dies, the service goes on; when the service dies, nothing of it stays."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from sandbox.contract import BUSY_STATUS, Bundle, ErrorKind, RunResult
from sandbox.launcher import launch
from tests.integration.sandbox.processes import (
    below,
    fork_server_below,
    leaves_below,
    wait_gone,
)
from tests.integration.sandbox.running import RunningService, running
from tests.integration.sandbox.web import Web, serving
from tests.receipts import released

HOLD = """
async def main(url):
    await http.get(url, timeout=60)
    return "released"
"""
ONE = "async def main():\n    return 1\n"


@pytest.fixture
def own_directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as directory:
        yield Path(directory)


@pytest.fixture
async def holding() -> AsyncGenerator[Web]:
    """A web server of this test alone, whose ``/hold`` tells that a tool is running."""
    web = Web()
    async with serving(web):
        yield web
        web.release.set()


def start_held_call(service: RunningService, web: Web) -> asyncio.Task[RunResult]:
    origin = f"localhost:{web.port}"
    call = service.run(HOLD, {"url": f"http://{origin}/hold"}, hosts=(origin,))
    return asyncio.create_task(call)


def settings_for(web: Web, **more: str) -> dict[str, str]:
    return {"PRIVATE_HOSTS": f"localhost:{web.port}", **more}


async def arrived(web: Web) -> None:
    async with asyncio.timeout(30):
        await web.arrived.wait()


async def test_the_service_goes_on_after_its_fork_server_was_killed(
    own_directory: Path, holding: Web
) -> None:
    async with running(own_directory, settings_for(holding)) as service:
        call = start_held_call(service, holding)
        await arrived(holding)
        old = fork_server_below(service.process.pid)
        before = below(service.process.pid)

        os.kill(old, signal.SIGKILL)

        lost = await call
        again = await service.run(ONE)
        await wait_gone(before)
        new = fork_server_below(service.process.pid)

    assert lost.error is not None
    assert lost.error.kind == ErrorKind.CRASHED
    assert again.result == 1
    assert new != old


async def test_the_service_goes_on_after_its_children_were_killed(
    own_directory: Path, holding: Web
) -> None:
    async with running(own_directory, settings_for(holding)) as service:
        call = start_held_call(service, holding)
        await arrived(holding)

        children = leaves_below(service.process.pid)
        for pid in children:
            os.kill(pid, signal.SIGKILL)

        killed = await call
        await wait_gone(children)  # one that waits for a job may take it before it ends
        again = [await service.run(ONE) for _ in range(6)]

    assert killed.error is not None
    assert killed.error.kind == ErrorKind.CRASHED
    assert "SIGKILL" in killed.error.message
    assert [result.result for result in again] == [1] * 6


async def test_nothing_stays_when_the_service_is_killed(own_directory: Path, holding: Web) -> None:
    async with running(own_directory, settings_for(holding)) as service:
        call = start_held_call(service, holding)
        await arrived(holding)
        processes = below(service.process.pid)

        service.process.kill()

        await wait_gone(processes)
        call.cancel()
        await asyncio.wait((call,))
    assert len(processes) > 4


async def test_sigterm_lets_a_call_end_and_then_leaves_nothing(
    own_directory: Path, holding: Web
) -> None:
    async with running(own_directory, settings_for(holding)) as service:
        call = start_held_call(service, holding)
        await arrived(holding)
        processes = below(service.process.pid)

        service.process.terminate()
        holding.release.set()

        result = await call
        async with asyncio.timeout(15):
            code = await service.process.wait()
        await wait_gone(processes)

    assert result.result == "released"
    assert code == 0
    assert not (own_directory / "sandbox.sock").exists()


async def test_who_comes_when_all_is_taken_is_told_to_wait(
    own_directory: Path, holding: Web
) -> None:
    settings = settings_for(holding, MAX_RUNNING="1", MAX_WAITING="0")
    async with running(own_directory, settings) as service:
        await service.run(ONE)
        call = start_held_call(service, holding)
        await arrived(holding)
        health = await service.health()

        refused = await service.client.post(
            "/runs", json={"bundle_key": released(Bundle(code=ONE)).key}
        )
        holding.release.set()
        await call
        after = await service.run(ONE)

    assert health.running == 1
    assert refused.status_code == BUSY_STATUS
    assert refused.json()["title"] == "Busy"
    assert after.ok


async def test_a_client_that_hangs_up_frees_its_place(own_directory: Path, holding: Web) -> None:
    settings = settings_for(holding, MAX_RUNNING="1", POOL_SIZE="1")
    async with running(own_directory, settings) as service:
        await service.run(ONE)
        call = start_held_call(service, holding)
        await arrived(holding)

        call.cancel()

        async with asyncio.timeout(5):
            result = await service.run(ONE)
        health = await service.health()

    assert result.ok
    assert health.running == 0


async def test_many_calls_at_once_all_answer(service: RunningService) -> None:
    code = "async def main(number):\n    return number\n"

    results = await asyncio.gather(*(service.run(code, {"number": n}) for n in range(60)))

    assert [result.result for result in results] == list(range(60))


async def test_a_start_that_is_given_up_leaves_no_process() -> None:
    before = set(below(os.getpid()))
    starting = asyncio.create_task(launch())
    await asyncio.sleep(0)
    now = set(below(os.getpid()))
    started = now - before - {pid for other in before for pid in below(other)}
    assert started

    starting.cancel()
    await asyncio.wait((starting,))

    assert starting.cancelled()
    await wait_gone(started)
