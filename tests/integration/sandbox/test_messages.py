"""A limit's message is all that the author of a tool sees of it: what, where, and what to do."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest

from sandbox.child import Child
from sandbox.contract import ErrorKind, RunError
from sandbox.pool import Pool
from tests.integration.sandbox.pools import Bench, bench

THREADS = "Tools cannot start threads or processes: use asyncio"
LATEST_KILL_S = 1.0


@pytest.fixture(scope="module")
async def sandbox() -> AsyncGenerator[Bench]:
    async with bench() as one:
        yield one


async def error_of(
    sandbox: Bench, body: str, before: str = "", *, guarded: bool = True
) -> RunError:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    result = await sandbox.run(f"{before}\nasync def main():\n{lines}", guarded=guarded)
    assert result.error is not None, result
    return result.error


async def test_too_many_descriptors(sandbox: Bench) -> None:
    body = "return len([asyncio.new_event_loop() for _ in range(300)])"

    error = await error_of(sandbox, body, "import asyncio")

    assert error.kind == ErrorKind.RAISED
    assert error.message.startswith("OSError: [Errno 24] Too many open files. A tool may hold 256")
    assert "close what is done" in error.message
    assert error.line == 3


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ("import threading", "threading.Thread(target=print).start()"),
        ("import asyncio", "await asyncio.to_thread(print)"),
        ("import asyncio", "await asyncio.get_running_loop().run_in_executor(None, print)"),
        ("from concurrent.futures import ThreadPoolExecutor", "ThreadPoolExecutor().submit(print)"),
    ],
)
async def test_threads_are_not_available(sandbox: Bench, before: str, body: str) -> None:
    """Past the guard, as a granted module would be."""
    error = await error_of(sandbox, body, before, guarded=False)

    assert error.kind == ErrorKind.RAISED
    assert error.message.startswith(f"RuntimeError: can't start new thread. {THREADS}")
    assert "asyncio.to_thread" in error.message


@pytest.mark.parametrize("how", ["os.fork()", "subprocess.run(['true'])", "os.system('true')"])
async def test_processes_are_not_available(sandbox: Bench, how: str) -> None:
    body = f"done = {how}\nif done != 0: raise PermissionError(1, 'system() failed')"

    error = await error_of(sandbox, body, "import os, subprocess", guarded=False)

    assert error.kind == ErrorKind.RAISED
    assert "Tools cannot start processes or threads" in error.message


async def test_the_guard_says_the_same_before_anything_runs(sandbox: Bench) -> None:
    code = "import subprocess, threading\nasync def main():\n    await asyncio.to_thread(f)\n"

    assert await sandbox.is_rejected(code)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "{'items': [1, {'when': object()}]}",
            "result.items[1].when: a value of type object cannot",
        ),
        ("[[lambda: 1]]", "result[0][0]: a value of type function cannot be returned"),
        ("{'a b': {'c': 1j}}", "result['a b'].c: a value of type complex cannot be returned"),
        ("{'rows': {(1, 2): 3}}", "result.rows has a key of type tuple; keys must be text"),
        ("[0, 10**5000]", "result[1]: an integer of more than 4300 digits; return it as text"),
        ("[Point(1, object())]", "result[0].y: a value of type object cannot be returned"),
        ("loop", "result.again.again[0] contains itself"),
        ("['\\ud800']", "half a character (a lone surrogate)"),
        ("[object() for _ in '\\ud800\\x00']", "result[0]: a value of type object"),
        ("{'\\ud800\\x00': object()}", "result['\\ud800\\x00']: a value of type object"),
    ],
)
async def test_a_result_that_is_no_json_says_where(sandbox: Bench, value: str, said: str) -> None:
    before = """
from dataclasses import dataclass
@dataclass
class Point:
    x: int
    y: object
loop = {"again": {}}
loop["again"]["again"] = [loop["again"]]
"""
    error = await error_of(sandbox, f"return {value}", before)

    assert error.kind == ErrorKind.BAD_RESULT
    assert error.message.startswith("The result is not JSON")
    assert said in error.message


class Watched(Pool):
    latest: Child

    async def begin(self, *, speaks: bool = False) -> Child:
        self.latest = await super().begin(speaks=speaks)
        return self.latest


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass",
        "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
        "while True:\n    try: await asyncio.sleep(9)\n    except BaseException: pass",
    ],
    ids=["burning", "ignoring-signals", "in-native-code", "swallowing"],
)
async def test_a_wedged_child_is_dead_soon_after_its_deadline(body: str) -> None:
    wall_s = 0.3
    pool = Watched(size=1)
    await pool.start()
    try:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        code = f"import asyncio\nasync def main():\n{lines}"
        started = time.perf_counter()
        result = await Bench(pool).run(code, wall_s=wall_s)
        await asyncio.wait_for(asyncio.shield(pool.latest.exited), LATEST_KILL_S)
        late_s = time.perf_counter() - started - wall_s
    finally:
        await pool.stop()

    assert result.error is not None
    assert result.error.kind == ErrorKind.WALL
    assert late_s < LATEST_KILL_S
    print(f"killed {late_s * 1000:.1f} ms after the deadline")  # noqa: T201  shown with -s
