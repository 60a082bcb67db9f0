"""A trivial call beside tools that take what they can: it has to stay near what it costs alone."""

import asyncio
import time
from dataclasses import dataclass

from benchmarks.samples import latency_of
from benchmarks.tool import ARGUMENTS, CODE
from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import Bundle, CheckRequest, RunLimits
from sandbox.hosts import HostGrants
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.runner import Runner

_TOOLS = {
    "a CPU burner": "async def main():\n    while True: pass",
    "a memory hog": "async def main():\n    while True: bytearray(200 * 2**20)",
    "a forker": """import os
async def main():
    while True:
        try: os.fork()
        except OSError: pass
""",
}
_PAUSE_S = 0.02
_SETTLE_S = 0.5
"""So long a tool burns before anybody is beside it: a call that is short is not yet a burner."""


@dataclass(frozen=True)
class Neighbour:
    """Beside one such tool per core."""

    p50_ms: float
    p99_ms: float
    to_idle: float
    """Its median, divided by that of the turns just before and after."""


async def measure_neighbours(*, samples: int, cores: int = 2) -> dict[str, Neighbour]:
    pool = Pool()
    runner = Runner(Pools(pool), ConnectionPools(), Admission())
    try:
        await pool.start()
        await runner.check(CheckRequest(code=CODE))
        return {
            name: await _beside(runner, code, samples=samples, cores=cores)
            for name, code in _TOOLS.items()
        }
    finally:
        runner.close()
        await pool.stop()


async def _beside(runner: Runner, code: str, *, samples: int, cores: int) -> Neighbour:
    idle = await _paced(runner, samples // 2)
    busy = [asyncio.ensure_future(_run(runner, code, "noisy", {})) for _ in range(cores)]
    try:
        await asyncio.sleep(_SETTLE_S)
        beside = await _paced(runner, samples)
    finally:
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
    idle += await _paced(runner, samples // 2)
    found = latency_of(beside)
    ratio = found.p50_ms / latency_of(idle).p50_ms
    return Neighbour(p50_ms=found.p50_ms, p99_ms=found.p99_ms, to_idle=round(ratio, 2))


async def _paced(runner: Runner, samples: int) -> list[float]:
    durations: list[float] = []
    for _ in range(max(samples, 1)):
        began = time.perf_counter()
        await _run(runner, CODE, "quiet", ARGUMENTS)
        durations.append(time.perf_counter() - began)
        await asyncio.sleep(_PAUSE_S)
    return durations


async def _run(runner: Runner, code: str, server: str, arguments: dict[str, int]) -> None:
    bundle = Bundle(code=code, server=server)
    registered = Registered(bundle.key, bundle, HostGrants(()))
    # Nothing but the kernel holds the tools back: the guard would not even let one of them start.
    limits = RunLimits(cpu_s=600, wall_s=600)
    await runner.run(registered, arguments=arguments, limits=limits, guarded=server == "quiet")
