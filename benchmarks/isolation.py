"""What isolation costs: the sandbox service alone, beside its own floors."""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import get_args

from benchmarks.calls import MANY, Lane, Load, Throughput, measure
from benchmarks.forks import ForkFloor, measure_forks
from benchmarks.neighbours import Neighbour, measure_neighbours
from benchmarks.processes import members, resident_bytes
from benchmarks.samples import BenchmarkFailed, Latency, latency_of
from benchmarks.sandbox_service import (
    Connection,
    SandboxClient,
    SandboxService,
    client_of,
    running_sandbox,
)
from benchmarks.tool import ANSWER, ARGUMENTS, CODE
from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import Bundle, CheckRequest, IsolationMode, RunRequest
from sandbox.hosts import HostGrants
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.probe import LayerName
from sandbox.runner import Runner

_MIB = 2**20
_BURST = 64
"""Below the limit of the queue."""


@dataclass(frozen=True)
class Forking:
    """One process per call, 16 callers, without HTTP; and what the locks and the job take of it."""

    bare: ForkFloor
    """Processes that end at once."""
    unlocked_per_second: float
    """Calls in processes without any lock."""
    locked_per_second: float
    locked_to_bare: float
    locked_to_unlocked: float


@dataclass(frozen=True)
class Burst(Latency):
    errors: int


@dataclass(frozen=True)
class Isolation:
    lanes: dict[str, dict[str, Throughput]]
    """``{health, call, release: {load: …}}``, over the same unix socket."""
    call_beyond_health_ms: dict[str, float]
    """``{p50, p99}`` of a paced client."""
    release_to_call: float
    """Calls per second, of many clients."""
    forking: Forking
    idle_pool_mib: float
    """Proportional set size of the fork server and all children."""
    burst: Burst
    neighbours: dict[str, Neighbour]


async def measure_isolation(loads: Sequence[Load], *, rounds: int, forks: int) -> Isolation:
    with running_sandbox() as service:
        async with client_of(service) as client:
            idle_mib = _pool_mib(service)
            async with _lanes(service, client) as lanes:
                by_load = {load.name: await measure(lanes, load, rounds=rounds) for load in loads}
            burst = await _burst(service, client)
    found = {
        lane.name: {load: by_lane[lane.name] for load, by_lane in by_load.items()} for lane in lanes
    }
    call, health = found["call"], found["health"]
    many = str(MANY)
    return Isolation(
        lanes=found,
        call_beyond_health_ms={
            "p50": round(call["paced"].p50_ms - health["paced"].p50_ms, 3),
            "p99": round(call["paced"].p99_ms - health["paced"].p99_ms, 3),
        },
        release_to_call=round(found["release"][many].per_second / call[many].per_second, 2),
        forking=await _forking(forks),
        idle_pool_mib=round(idle_mib, 1),
        burst=burst,
        neighbours=await measure_neighbours(samples=forks // 4),
    )


@asynccontextmanager
async def _lanes(service: SandboxService, client: SandboxClient) -> AsyncGenerator[list[Lane]]:
    async with AsyncExitStack() as stack:
        entering = (stack.enter_async_context(Connection(service)) for _ in range(MANY))
        connections = [await one for one in entering]
        yield [
            Lane("health", [_asking(one) for one in connections], {"sandbox": service.pid}),
            await _runs("call", IsolationMode.CALL, service, client, connections),
            await _runs("release", IsolationMode.RELEASE, service, client, connections),
        ]


async def _runs(
    name: str,
    isolation: IsolationMode,
    service: SandboxService,
    client: SandboxClient,
    connections: Sequence[Connection],
) -> Lane:
    bundle = service.released(Bundle(code=CODE, isolation=isolation))
    await client.run(bundle, ARGUMENTS)
    asked = RunRequest(bundle_key=bundle.key, arguments=ARGUMENTS)
    calls = [_asking(connection, asked) for connection in connections]
    return Lane(name, calls, {"sandbox": service.pid})


def _asking(
    connection: Connection, asked: RunRequest | None = None
) -> Callable[[], Awaitable[None]]:
    request = connection.request_of(asked)
    expected = b"" if asked is None else f'"result":{json.dumps(ANSWER)}'.replace(" ", "").encode()

    async def ask() -> None:
        answer = await connection.ask(request)
        if expected not in answer:
            raise BenchmarkFailed(f"The sandbox answered {answer[:500]!r}.")

    return ask


async def _burst(service: SandboxService, client: SandboxClient) -> Burst:
    """All at once, far beyond the pool: slower, and never an error."""
    servers = [f"server {number}" for number in range(4)]
    bundles = [service.released(Bundle(code=CODE, server=server)) for server in servers]
    for bundle in bundles:
        await client.run(bundle, ARGUMENTS)
    durations: list[float] = []
    errors = 0

    async def one(bundle: Bundle) -> None:
        nonlocal errors
        began = time.perf_counter()
        try:
            result = await client.run(bundle, ARGUMENTS)
            errors += not result.ok
        except BenchmarkFailed:
            errors += 1
        durations.append(time.perf_counter() - began)

    await asyncio.gather(*(one(bundles[n % len(bundles)]) for n in range(_BURST)))
    latency = latency_of(durations)
    return Burst(latency.samples, latency.p50_ms, latency.p99_ms, errors)


async def _forking(count: int) -> Forking:
    """In turns, so that all have the same machine."""
    async with _caller(frozenset(get_args(LayerName))) as unlocked, _caller() as locked:
        spent = {"unlocked": 0.0, "locked": 0.0}
        floors: list[ForkFloor] = []
        rounds = 4
        for _ in range(rounds):
            floors.append(await asyncio.to_thread(measure_forks, count // rounds, in_flight=MANY))
            spent["unlocked"] += await _time_of(unlocked, count // rounds)
            spent["locked"] += await _time_of(locked, count // rounds)
    bare = sorted(floors, key=lambda floor: floor.per_second)[rounds // 2]
    of_unlocked, of_locked = (count // rounds * rounds / spent[n] for n in ("unlocked", "locked"))
    return Forking(
        bare=bare,
        unlocked_per_second=round(of_unlocked, 1),
        locked_per_second=round(of_locked, 1),
        locked_to_bare=round(of_locked / bare.per_second, 3),
        locked_to_unlocked=round(of_locked / of_unlocked, 3),
    )


async def _time_of(call: Callable[[], Awaitable[None]], count: int) -> float:
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await call()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(MANY)))
    return time.perf_counter() - began


@asynccontextmanager
async def _caller(
    without: frozenset[str] = frozenset(),
) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
    pool = Pool(without=without)
    runner = Runner(Pools(pool), ConnectionPools(), Admission(max_running_per_server=8))
    bundle = Bundle(code=CODE)
    registered = Registered(bundle.key, bundle, HostGrants(()))

    async def call() -> None:
        result = await runner.run(registered, arguments=ARGUMENTS)
        if result.result != ANSWER:
            raise BenchmarkFailed(f"The sandbox answered {result}.")

    try:
        await pool.start()
        await runner.check(CheckRequest(code=CODE))
        yield call
    finally:
        runner.close()
        await pool.stop()


def _pool_mib(service: SandboxService) -> float:
    return resident_bytes(members(service.pid) - {service.pid, os.getpid()}) / _MIB
