"""The log is written beside the calls, and survives a lost Postgres."""

import asyncio
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.execution_log import BATCH_ROWS, ExecutionLog
from mcpbox.domain.executions import (
    ERROR_MAX_CHARS,
    RESULT_MAX_CHARS,
    STDOUT_MAX_CHARS,
    Execution,
)
from tests.service.gateway.factories import a_callable, a_version, an_execution, soon
from tests.service.gateway.running import running
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World


async def kept(world: World, **changes: Any) -> Execution:
    executions = ExecutionLog(world.write_executions)
    executions.add(an_execution(**changes))
    await executions.flush()
    [written] = world.executions
    return written


async def test_secrets_are_kept_out_by_the_name_of_their_key(world: World) -> None:
    written = await kept(
        world,
        arguments={
            "password": "a",
            "api_token": "b",
            "clientSecret": "c",
            "key": "d",
            "ssh_key": "e",
            "Authorization": "f",
            "keyword": "kept",
            "inner": [{"secret": {"x": 1}, "city": "Bonn"}],
        },
    )

    assert written.arguments == {
        **dict.fromkeys(
            ("password", "api_token", "clientSecret", "key", "ssh_key", "Authorization"),
            "[redacted]",
        ),
        "keyword": "kept",
        "inner": [{"secret": "[redacted]", "city": "Bonn"}],
    }


async def test_texts_are_cut_to_what_the_log_keeps(world: World) -> None:
    long = "x" * 50_000
    written = await kept(
        world, result=long, stdout=long, error=long, arguments={"a": long, "b": list(range(500))}
    )

    assert len(written.result) == RESULT_MAX_CHARS
    assert len(written.stdout) == STDOUT_MAX_CHARS
    assert len(written.error) == ERROR_MAX_CHARS
    assert len(written.arguments["a"]) == 2_000
    assert len(written.arguments["b"]) == 100


async def test_a_character_that_postgres_cannot_keep_does_not_stop_the_log(world: World) -> None:
    written = await kept(world, stdout="a\x00b", result="\x00", arguments={"k\x00": "\x00"})

    assert "\x00" not in written.model_dump_json()
    assert "\\u0000" not in written.model_dump_json()


async def test_rows_are_written_soon_without_being_asked(world: World) -> None:
    executions = ExecutionLog(world.write_executions)
    writing = asyncio.create_task(executions.run())
    executions.add(an_execution())

    await soon(world.written.wait())
    writing.cancel()
    assert len(world.executions) == 1


async def test_many_rows_go_out_in_batches_in_their_order(world: World) -> None:
    sizes: list[int] = []

    async def write(batch: Any) -> None:
        sizes.append(len(batch))
        await world.write_executions(batch)

    executions = ExecutionLog(write)
    rows = [an_execution() for _ in range(BATCH_ROWS + 1)]
    for row in rows:
        executions.add(row)
    await executions.flush()

    assert sizes == [BATCH_ROWS, 1]
    assert [row.id for row in world.executions] == [row.id for row in rows]


async def test_rows_wait_while_postgres_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.execution_log._RETRY_S", 0.01)
    world.postgres_reachable = False
    executions = ExecutionLog(world.write_executions)
    writing = asyncio.create_task(executions.run())
    executions.add(an_execution())
    await asyncio.sleep(0)
    world.postgres_reachable = True

    await soon(world.written.wait())
    writing.cancel()
    assert executions.backlog == 0


async def test_a_full_log_drops_counts_and_keeps_what_it_has(world: World) -> None:
    executions = ExecutionLog(world.write_executions, capacity=2)
    rows = [an_execution() for _ in range(5)]
    for row in rows:
        executions.add(row)
    await executions.close()

    assert executions.dropped == 3
    assert [row.id for row in world.executions] == [row.id for row in rows[:2]]


async def test_closing_writes_what_waits(world: World) -> None:
    executions = ExecutionLog(world.write_executions)
    executions.add(an_execution())
    await executions.close()

    assert len(world.executions) == 1


async def test_closing_while_a_batch_is_being_written_loses_and_repeats_nothing(
    world: World,
) -> None:
    writing, may_end = asyncio.Event(), asyncio.Event()

    async def write(batch: Any) -> None:
        writing.set()
        await may_end.wait()
        await world.write_executions(batch)

    executions = ExecutionLog(write)
    rows = [an_execution() for _ in range(3)]
    executions.add(rows[0])
    flushing = asyncio.create_task(executions.flush())
    await soon(writing.wait())
    for row in rows[1:]:
        executions.add(row)
    closing = asyncio.create_task(executions.close())
    await asyncio.sleep(0)
    may_end.set()
    await soon(asyncio.gather(flushing, closing))

    assert [row.id for row in world.executions] == [row.id for row in rows]
    assert executions.backlog == 0


async def test_a_gateway_that_is_told_to_stop_writes_what_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.execution_log.BATCH_S", 600)
    world.callables = [a_callable(a_version())]
    async with running(Gateway(parts_of(world))) as gateway:
        async with gateway.client("2026-07-28") as client:
            await client.call_tool("calc__add", {"a": 1})
        assert world.executions == []

    assert len(world.executions) == 1
