"""The floor of one process per call: how fast the same fork server forks processes that just end.

``python -m benchmarks.forks`` is such a server, without any lock-down; the service has none.
"""

import gc
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.samples import BenchmarkFailed

_BOOTSTRAP = """
import json, sys
sys.path += json.loads(sys.argv[1])
from sandbox import lean
lean.leave_out()
from benchmarks.forks import main
main(int(sys.argv[2]), int(sys.argv[3]))
"""
_TIMEOUT_S = 120


@dataclass(frozen=True)
class ForkFloor:
    per_second: float
    cpu_ms: float
    """Of the server and the child together, per fork."""
    pages: float
    """That a child writes to, or maps, before it ends."""


def measure_forks(count: int, *, in_flight: int) -> ForkFloor:
    paths = [path for path in sys.path if path] + [str(Path(__file__).parents[1])]
    arguments = [json.dumps(paths), str(count), str(in_flight)]
    ended = subprocess.run(  # noqa: S603 - this module
        [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", _BOOTSTRAP, *arguments],
        env={},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if ended.returncode:
        raise BenchmarkFailed(f"The bare fork server failed:\n{ended.stderr}")
    return ForkFloor(**json.loads(ended.stdout))


def main(count: int, in_flight: int) -> None:
    from sandbox import namespace, runtime
    from sandbox.preload import preload
    from sandbox.transports import replace_transports

    preload()
    replace_transports()
    namespace.prepare()
    runtime.prepare()
    gc.collect()
    gc.freeze()
    _fork(count // 10 + 1, in_flight)
    print(json.dumps(_fork(count, in_flight)))


def _fork(count: int, in_flight: int) -> dict[str, float]:
    began, cpu_s = time.perf_counter(), _cpu_s()
    living = pages = 0
    for number in range(count + in_flight):
        if number < count:
            if os.fork() == 0:
                os._exit(0)
            living += 1
        if living >= in_flight or (number >= count and living):
            pages += os.wait3(0)[2].ru_minflt
            living -= 1
    return {
        "per_second": round(count / (time.perf_counter() - began), 1),
        "cpu_ms": round((_cpu_s() - cpu_s) / count * 1000, 3),
        "pages": round(pages / count, 1),
    }


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
