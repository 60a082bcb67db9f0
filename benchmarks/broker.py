"""What the broker adds to one request of a tool: beside httpx without it, to the same server.

``python -m benchmarks.broker`` measures it alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import httpx
from uvicorn.loops.auto import auto_loop_factory

from benchmarks.samples import BenchmarkFailed, latency_of
from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import Bundle, RunLimits
from sandbox.hosts import HostGrant, HostGrants
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.runner import Runner

REQUESTS = 40
"""Of one turn, after some that warm it up; a call may make 50."""
_WARM_UP = 5
_CODE = """
import time
async def main(url, requests, warm_up):
    durations = []
    for number in range(warm_up + requests):
        began = time.perf_counter()
        answer = await http.get(url)
        answer.json()
        if number >= warm_up:
            durations.append(time.perf_counter() - began)
    return durations
"""
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n"
    b'{"hello": "world", "n": 42}'
)

Turn = Callable[[], Awaitable[Sequence[float]]]


@dataclass(frozen=True)
class BrokerSamples:
    """In seconds, of requests to a server that is asked over a kept connection."""

    direct: Sequence[float]
    brokered: Sequence[float]

    @property
    def added_ms(self) -> float:
        """At the median."""
        return latency_of(self.brokered).p50_ms - latency_of(self.direct).p50_ms


async def measure_broker(rounds: int) -> BrokerSamples:
    """The two ways take turns, forth and back again, so that a busy machine burdens both alike.

    Server, broker and direct client share this process; the tool has its own, as always.
    """
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
    url = f"http://localhost:{server.sockets[0].getsockname()[1]}/"
    pool = Pool(size=2)
    connections = ConnectionPools()
    try:
        await pool.start()
        runner = Runner(Pools(pool), connections, Admission())
        async with httpx.AsyncClient(trust_env=False) as client:
            return await _take_turns(lambda: _direct(client, url), _through(runner, url), rounds)
    finally:
        await pool.stop()
        await connections.aclose()
        server.close()


async def _take_turns(direct: Turn, brokered: Turn, rounds: int) -> BrokerSamples:
    samples: dict[Turn, list[float]] = {direct: [], brokered: []}
    for number in range(rounds):
        for turn in (direct, brokered) if number % 2 == 0 else (brokered, direct):
            samples[turn].extend(await turn())
    return BrokerSamples(samples[direct], samples[brokered])


async def _direct(client: httpx.AsyncClient, url: str) -> Sequence[float]:
    durations: list[float] = []
    for number in range(_WARM_UP + REQUESTS):
        began = time.perf_counter()
        answer = await client.get(url)
        answer.json()
        if number >= _WARM_UP:
            durations.append(time.perf_counter() - began)
    return durations


def _through(runner: Runner, url: str) -> Turn:
    host = url.removeprefix("http://").rstrip("/")
    bundle = Bundle(code=_CODE, hosts=(host,))
    grants = HostGrants(bundle.hosts, [HostGrant.parse(host)])
    registered = Registered(bundle.key, bundle, grants)
    arguments = {"url": url, "requests": REQUESTS, "warm_up": _WARM_UP}

    async def turn() -> Sequence[float]:
        result = await runner.run(registered, arguments=arguments, limits=RunLimits())
        if not result.ok:
            raise BenchmarkFailed(f"A tool failed: {result.error}.")
        return result.result

    return turn


class _Server(asyncio.Protocol):
    """As little of a server as will do, so that most of what is measured is the way to it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are of no such type

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(_ANSWER)


def main() -> None:
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # as the service has it
        samples = runner.run(measure_broker(rounds=10))
    for name, durations in (("direct", samples.direct), ("brokered", samples.brokered)):
        latency = latency_of(durations)
        print(f"{name:<9} p50 {latency.p50_ms:.3f} ms  p99 {latency.p99_ms:.3f} ms")
    print(f"added     p50 {samples.added_ms:.3f} ms")


if __name__ == "__main__":
    main()
