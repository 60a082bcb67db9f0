"""A loop that takes a shortcut behaves as any other would."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from sandbox.tool_loop import ToolLoop


def test_a_tool_that_never_waits_is_a_task_in_a_running_loop() -> None:
    loop = ToolLoop()

    async def main() -> tuple[object, object, bool]:
        return asyncio.get_running_loop(), asyncio.current_task(), loop.is_running()

    running, task, is_running = loop.run_until_complete(main())

    assert running is loop
    assert task is not None
    assert is_running
    assert not loop.is_running()


def test_a_tool_that_waits_goes_on_where_it_was() -> None:
    async def main() -> list[str]:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            slow = group.create_task(asyncio.sleep(0.01, "slow"))
            quick = group.create_task(asyncio.sleep(0, "quick"))
        return [slow.result(), quick.result()]

    assert ToolLoop().run_until_complete(main()) == ["slow", "quick"]


def test_what_was_started_and_not_awaited_gets_its_first_step_as_in_any_loop() -> None:
    began: list[str] = []

    async def other() -> None:
        began.append("other")
        await asyncio.sleep(1000)

    async def main() -> None:
        began.append(str(bool(asyncio.get_running_loop().create_task(other()))))

    loop = ToolLoop()
    loop.run_until_complete(main())

    assert began == ["True", "other"]
    assert not loop.is_idle()
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    assert loop.is_idle()


def test_an_error_comes_through_and_the_loop_can_be_used_again() -> None:
    loop = ToolLoop()

    async def main(error: BaseException | None) -> str:
        if error:
            raise error
        return "well"

    for error in (ValueError(), SystemExit(), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            loop.run_until_complete(main(error))
    assert loop.run_until_complete(main(None)) == "well"


def test_a_generator_that_is_left_halfway_is_closed() -> None:
    closed: list[str] = []

    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append("closed")

    async def main() -> None:
        async for _ in numbers():
            break

    loop = ToolLoop()
    loop.run_until_complete(main())
    loop.run_until_complete(asyncio.sleep(0.001))

    assert closed == ["closed"]
