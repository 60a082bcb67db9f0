"""``POST /runs`` with ``Accept: application/x-ndjson``: output while the tool runs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.contract import EVENTS_MEDIA_TYPE, ErrorKind, RunEvent, RunResult
from tests.integration.sandbox.held import ONE, held_run, request, run_of
from tests.integration.sandbox.processes import leaves_below, wait_one_gone
from tests.integration.sandbox.running import RunningService
from tests.integration.sandbox.web import Web

EVENTS = {"accept": EVENTS_MEDIA_TYPE}
CHATTY = """
async def main():
    for number in range(500):
        print("line", number, "é")
    return "said"
"""
FLOOD = "async def main():\n    print('x' * 1_000_000)\n    return 1\n"


class Stream:
    """The events of one run."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> RunEvent:
        async with asyncio.timeout(30):
            return RunEvent.model_validate_json(await anext(self._lines))

    async def rest(self) -> tuple[str, RunResult]:
        printed = ""
        while (event := await self.next()).result is None:
            assert event.stdout
            printed += event.stdout
        assert [line async for line in self._lines] == []
        return printed, event.result


@asynccontextmanager
async def streamed(service: RunningService, body: dict[str, Any]) -> AsyncGenerator[Stream]:
    async with service.client.stream("POST", "/runs", json=body, headers=EVENTS) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == EVENTS_MEDIA_TYPE
        yield Stream(response)


async def test_output_comes_while_the_tool_runs(held_web: Web, narrow: RunningService) -> None:
    async with streamed(narrow, held_run(held_web)) as stream:
        first = await stream.next()
        held_web.release.set()
        printed, result = await stream.rest()

    assert first.stdout == "begun\n"
    assert printed == "released\n"
    assert (result.result, result.stdout) == ("done", "begun\nreleased\n")


async def test_what_was_streamed_is_what_the_result_says_was_printed(
    service: RunningService,
) -> None:
    async with streamed(service, run_of(CHATTY, limits={"stdout_bytes": 3000})) as stream:
        printed, result = await stream.rest()

    assert printed == result.stdout
    assert "output truncated: the limit is 3000 bytes" in printed
    assert result.result == "said"


@pytest.mark.parametrize(
    ("code", "limits", "kind"),
    [
        ("import os\nasync def main(): pass\n", {}, ErrorKind.REJECTED),
        ("async def main():\n    1 / 0\n", {}, ErrorKind.RAISED),
        ("async def main():\n    while True: pass\n", {"wall_s": 0.3}, ErrorKind.WALL),
    ],
)
async def test_a_run_that_fails_ends_its_stream_with_the_reason(
    service: RunningService, code: str, limits: dict[str, float], kind: ErrorKind
) -> None:
    async with streamed(service, run_of(code, limits=limits)) as stream:
        _, result = await stream.rest()

    assert result.error is not None
    assert result.error.kind == kind


async def test_a_run_that_does_not_begin_is_answered_without_a_stream(
    service: RunningService,
) -> None:
    unknown = {"bundle_key": "never sent"}
    asked = await service.client.post("/runs", json=unknown, headers=EVENTS)
    plain = await service.client.post("/runs", json=unknown)

    assert (asked.status_code, asked.json()) == (plain.status_code, plain.json())


async def test_a_client_that_hangs_up_kills_the_tool(held_web: Web, narrow: RunningService) -> None:
    async with streamed(narrow, held_run(held_web)) as stream:
        await stream.next()
        processes = leaves_below(narrow.process.pid)

    await wait_one_gone(processes)
    assert (await narrow.run(ONE)).result == 1


async def test_a_reader_that_reads_nothing_holds_up_nobody_else(
    narrow_directory: Path, narrow: RunningService
) -> None:
    """There is one place: that others run says that the tool is gone, though nothing was read."""
    reader, writer = await asyncio.open_unix_connection(str(narrow_directory / "sandbox.sock"))
    body = run_of(FLOOD, limits={"stdout_bytes": 2**20})
    writer.write(request("POST", "/runs", body, **EVENTS))
    head = await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(20):
        others = [await narrow.run(ONE) for _ in range(3)]
    received = await reader.read()
    writer.close()

    assert b"200 OK" in head
    assert [other.result for other in others] == [1] * 3
    assert received.count(b"x") >= 1_000_000
    assert received.rstrip().endswith(b"\r\n0")
