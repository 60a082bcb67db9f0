"""Calls of a trivial tool, by one client and by many, on lanes that take turns."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from benchmarks.mcp_http import ERAS, Era, McpClient, connected
from benchmarks.processes import cpu_s
from benchmarks.samples import BenchmarkFailed, Latency, latency_of, milliseconds
from benchmarks.tool import ANSWER, ARGUMENTS, CODE
from mcpbox.domain.base import utc_now
from mcpbox.receipts import ReceiptSigner
from sandbox.contract import API_KEY_HEADER, Bundle, Receipt, RunRequest, RunResult

MANY = 16
_SERVER = "of no instance"
_SETTLE_S = 0.05
"""Between turns: what a turn leaves to do, a fork or a log line, must not burden the next."""

Call = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Load:
    """How a lane is used in its turn."""

    name: str
    clients: int
    calls: int
    pause_s: float = 0.0
    """What a client does between its calls; without one, the next call follows at once."""


@dataclass(frozen=True)
class Throughput(Latency):
    per_second: float
    cpu_ms: dict[str, float]
    """``{process: milliseconds of CPU time per call}``, with what it leaves to do afterwards."""


@dataclass
class Lane:
    """One way to be measured; ``calls`` has one per client."""

    name: str
    calls: Sequence[Call]
    processes: Mapping[str, int]
    """``{name: pid}`` of what works for it."""


@dataclass
class _Tally:
    durations_s: list[float] = field(default_factory=list[float])
    elapsed_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict[str, float])

    def told(self) -> Throughput:
        calls = len(self.durations_s)
        latency = latency_of(self.durations_s)
        return Throughput(
            samples=calls,
            p50_ms=latency.p50_ms,
            p99_ms=latency.p99_ms,
            per_second=round(calls / self.elapsed_s, 1),
            cpu_ms={name: milliseconds(spent / calls) for name, spent in self.cpu_s.items()},
        )


async def measure(lanes: Sequence[Lane], load: Load, *, rounds: int) -> dict[str, Throughput]:
    """``{lane: …}``. The lanes take turns, forth and back again, after one that does not count."""
    tallies = {lane.name: _Tally() for lane in lanes}
    for lane in lanes:
        await _turn(lane, load, _Tally())
    for number in range(rounds):
        for lane in lanes if number % 2 == 0 else reversed(lanes):
            await _turn(lane, load, tallies[lane.name])
    return {name: tally.told() for name, tally in tallies.items()}


async def _turn(lane: Lane, load: Load, tally: _Tally) -> None:
    before = {name: cpu_s(pid) for name, pid in lane.processes.items()}
    left = iter(range(load.calls))

    async def work(call: Call) -> None:
        for _ in left:
            began = time.perf_counter()
            await call()
            tally.durations_s.append(time.perf_counter() - began)
            if load.pause_s:
                await asyncio.sleep(load.pause_s)

    began = time.perf_counter()
    await asyncio.gather(*(work(call) for call in lane.calls[: load.clients]))
    tally.elapsed_s += time.perf_counter() - began
    await asyncio.sleep(_SETTLE_S)
    for name, pid in lane.processes.items():
        tally.cpu_s[name] = tally.cpu_s.get(name, 0.0) + cpu_s(pid) - before[name]


@asynccontextmanager
async def mcp_lanes(
    name: str, url: str, tool: str, processes: Mapping[str, int], *, token: str | None = None
) -> AsyncGenerator[list[Lane]]:
    """One per era, named ``{name} {era}``."""
    async with AsyncExitStack() as stack:
        lanes: list[Lane] = []
        for era in ERAS:
            clients = await stack.enter_async_context(
                connected(url, era, clients=MANY, token=token)
            )
            calls = [_call_of(client, tool) for client in clients]
            lanes.append(Lane(lane_name(name, era), calls, processes))
        yield lanes


def lane_name(name: str, era: Era) -> str:
    return f"{name} {era}"


def _receipt() -> Receipt:
    """Signed as if people had approved it: with the key of an instance of our own."""
    return Receipt(
        digest="",
        code_sha256=hashlib.sha256(CODE.encode()).hexdigest(),
        server=_SERVER,
        tool="",
        request="",
        approved_by=(),
        approved_at=utc_now(),
    )


@asynccontextmanager
async def sandbox_lanes(
    socket: str, api_key: str, pid: int, signer: ReceiptSigner
) -> AsyncGenerator[list[Lane]]:
    """The sandbox alone, as the gateway speaks with it: a run, and an answer without one."""
    bundle = Bundle(code=CODE, server=_SERVER, receipt=signer.sign(_receipt()))
    request = RunRequest(bundle_key=bundle.key, arguments=ARGUMENTS)
    body = request.model_dump_json(exclude_defaults=True)
    headers = {API_KEY_HEADER: api_key, "content-type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(
        "http://sandbox",
        connector=aiohttp.UnixConnector(socket, limit=0),
        headers=headers,
        timeout=timeout,
    ) as http:

        async def run(body: str = body) -> None:
            async with http.post("/runs", data=body) as answer:
                result = RunResult.model_validate_json(await _read(answer))
            if result.result != ANSWER:
                raise BenchmarkFailed(f"The sandbox answered {result}.")

        async def health() -> None:
            async with http.get("/health") as answer:
                await _read(answer)

        known = request.model_copy(update={"bundle": bundle})
        await run(known.model_dump_json(exclude_defaults=True))
        processes = {"sandbox": pid}
        yield [
            Lane("sandbox /runs", [run] * MANY, processes),
            Lane("sandbox /health", [health] * MANY, processes),
        ]


def _call_of(client: McpClient, tool: str) -> Call:
    async def call() -> None:
        answer = await client.call(tool, ARGUMENTS)
        if answer != ANSWER:
            raise BenchmarkFailed(f"{tool} answered {answer}.")

    return call


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = await answer.read()
    if answer.status != 200:
        raise BenchmarkFailed(f"The sandbox answered {answer.status}: {body[:500]!r}")
    return body
