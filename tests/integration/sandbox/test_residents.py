"""Children that serve many calls of one bundle: what they keep, and when they must go."""

import asyncio
import os

from sandbox.contract import ErrorKind, RunLimits
from sandbox.residents import Terms
from tests.integration.sandbox.lodging import PLAIN, lodge, on_the_host
from tests.integration.sandbox.processes import wait_gone
from tests.reviewing import eventually


async def test_module_is_executed_once_and_its_state_stays() -> None:
    async with lodge() as house:
        answers = [(await house.call(PLAIN)).result for _ in range(4)]

    assert [answer["calls"] for answer in answers] == [1, 2, 3, 4]
    assert len({answer["pid"] for answer in answers}) == 1


async def test_calls_with_another_memory_limit_have_another_process() -> None:
    more = RunLimits(memory_bytes=2**29)
    async with lodge() as house:
        await house.call(PLAIN)
        answer = await house.call(
            "async def main(): return counted(size=len(bytearray(3 * 10**8)))"
        )
        roomy = await house.call(PLAIN, limits=more)

    assert answer.error is not None
    assert answer.error.kind is ErrorKind.MEMORY
    assert roomy.result["calls"] == 1


async def test_calls_that_overlap_have_processes_of_their_own() -> None:
    slow = "import asyncio\nasync def main(): await asyncio.sleep(0.2); return counted()"
    async with lodge() as house:
        answers = await asyncio.gather(*(house.call(slow) for _ in range(3)))

        assert len({answer.result["pid"] for answer in answers}) == 3
        assert house.residents.idle == 3


async def test_so_many_calls_are_enough() -> None:
    async with lodge(Terms(calls=2)) as house:
        answers = [(await house.call(PLAIN)).result["calls"] for _ in range(5)]

    assert answers == [1, 2, 1, 2, 1]


async def test_so_long_is_long_enough() -> None:
    async with lodge(Terms(age_s=0)) as house:
        answers = [(await house.call(PLAIN)).result["calls"] for _ in range(2)]

    assert answers == [1, 1]


async def test_who_grows_must_go() -> None:
    grow = "kept = []\nasync def main(): kept.append(b'x' * 9_000_000); return counted()"
    async with lodge(Terms(growth_bytes=16_000_000)) as house:
        answers = [(await house.call(grow)).result["calls"] for _ in range(4)]

    assert answers == [1, 2, 3, 1]


async def test_who_is_not_called_goes() -> None:
    async with lodge(Terms(idle_s=0.05)) as house:
        first = (await house.call(PLAIN)).result

        await wait_gone([on_the_host(first["pid"])])
        assert (await house.call(PLAIN)).result["calls"] == 1


async def test_the_one_used_longest_ago_makes_room() -> None:
    async with lodge(max_idle=1) as house:
        first = (await house.call(PLAIN)).result
        pid = on_the_host(first["pid"])
        await house.call(PLAIN + "  # other")

        await wait_gone([pid])
        assert house.residents.idle == 1


async def test_a_tool_that_raises_or_returns_what_is_no_json_stays() -> None:
    code = """
async def main(how):
    if how == "raise": raise ValueError(counted()["calls"])
    return object() if how == "object" else counted()
"""
    async with lodge() as house:
        raised = await house.call(code, {"how": "raise"})
        bad = await house.call(code, {"how": "object"})
        answer = await house.call(code, {"how": "count"})

    assert raised.error is not None
    assert bad.error is not None
    assert [raised.error.kind, bad.error.kind] == [ErrorKind.RAISED, ErrorKind.BAD_RESULT]
    assert answer.result["calls"] == 2


async def test_after_every_other_failure_a_fresh_process_serves() -> None:
    code = """
import os, signal
async def main(how):
    answer = counted()
    if how == "memory": bytearray(10**10)
    if how == "exit": os._exit(3)
    if how == "loop":
        while True: pass
    if how == "cpu":
        while True: pass
    return answer
"""
    short = RunLimits(wall_s=0.5)
    busy = RunLimits(wall_s=20, cpu_s=1)
    async with lodge() as house:
        kinds: list[ErrorKind] = []
        for how, limits in (
            ("memory", RunLimits()), ("exit", RunLimits()), ("loop", short), ("cpu", busy)
        ):  # fmt: skip
            await house.call(code, {"how": "count"})
            failed = await house.call(code, {"how": how}, limits=limits)
            assert failed.error is not None
            kinds.append(failed.error.kind)
            assert (await house.call(code, {"how": "count"})).result["calls"] == 1
            await house.call(code, {"how": "exit"})

    assert kinds == [ErrorKind.MEMORY, ErrorKind.CRASHED, ErrorKind.WALL, ErrorKind.CPU]


async def test_who_leaves_something_running_goes() -> None:
    code = """
import asyncio
async def forever():
    while True: await asyncio.sleep(0)
async def main(how):
    answer = counted()
    loop = asyncio.get_running_loop()
    if how == "task": answer["task"] = str(asyncio.create_task(forever()))
    if how == "timer": loop.call_later(1000, print)
    if how == "callback": loop.call_soon(loop.call_soon, loop.call_soon, loop.call_soon, print)
    return answer
"""
    async with lodge() as house:
        for how in ("task", "timer", "callback"):
            left = (await house.call(code, {"how": how})).result
            assert (await house.call(code, {"how": "nothing"})).result["calls"] == 1, how
            assert left["calls"] in {1, 2}


async def test_a_timeout_ends_only_its_own_process() -> None:
    code = """
import asyncio
async def main(seconds):
    answer = counted()
    await asyncio.sleep(seconds)
    return answer
"""
    async with lodge() as house:
        stuck, well = await asyncio.gather(
            house.call(code, {"seconds": 60}, limits=RunLimits(wall_s=0.3)),
            house.call(code, {"seconds": 0.6}),
        )
        again = await house.call(code, {"seconds": 0})

    assert stuck.error is not None
    assert stuck.error.kind is ErrorKind.WALL
    assert again.result["pid"] == well.result["pid"]
    assert again.result["calls"] == 2


async def test_cpu_time_counts_for_each_call() -> None:
    code = """
import time
async def main():
    began = time.process_time()
    while time.process_time() - began < 0.7: pass
    return counted()
"""
    limits = RunLimits(wall_s=30, cpu_s=1)
    async with lodge() as house:
        answers = [(await house.call(code, limits=limits)).result["calls"] for _ in range(3)]

    assert answers == [1, 2, 3]


async def test_all_are_gone_when_the_service_closes() -> None:
    async with lodge() as house:
        first = (await house.call(PLAIN)).result
        pid = on_the_host(first["pid"])
        house.close()

        await wait_gone([pid])


async def test_after_the_fork_server_died_calls_are_served_anew() -> None:
    async with lodge() as house:
        first = (await house.call(PLAIN)).result
        pid = on_the_host(first["pid"])
        lost = house.pool.zygote
        os.kill(lost.process_id, 9)

        async def noticed() -> bool:
            return lost.dead

        await wait_gone([pid])
        await eventually(noticed)
        assert (await house.call(PLAIN)).result["calls"] == 1
