"""``python -m benchmarks [--quick] [--json]``, with one part alone or ``--soak SECONDS``."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
from uvicorn.loops.auto import auto_loop_factory

from benchmarks.beside import Listening
from benchmarks.broker import measure_broker
from benchmarks.calls import (
    MANY,
    Lane,
    Load,
    Throughput,
    lane_name,
    mcp_lanes,
    measure,
    sandbox_lanes,
)
from benchmarks.context import measure_context
from benchmarks.floor import TOOL_NAME, running_floor
from benchmarks.instance import Installation, installation_in
from benchmarks.isolation import Isolation, measure_isolation
from benchmarks.lifecycles import Effort as RequestsEffort
from benchmarks.lifecycles import Lifecycles, measure_lifecycles
from benchmarks.listings import Costs, measure_listings
from benchmarks.mcp_http import ERAS, Era
from benchmarks.publishing import Office, measure_approvals, measure_create_tool, office_of
from benchmarks.report import (
    Broker,
    Machine,
    Memory,
    Report,
    as_text,
    broker_of,
    isolation_as_text,
    lifecycles_as_text,
    listings_as_text,
    ratio_of,
    this_machine,
)
from benchmarks.samples import BenchmarkFailed
from benchmarks.soak import as_text as soak_as_text
from benchmarks.soak import soak
from benchmarks.starts import Starts, measured_starts

_THINKING_S = 0.02
"""Long enough for the sandbox to be idle again: what a call costs when nothing else happens."""


@dataclass(frozen=True)
class Effort:
    start_pairs: int
    rounds: int
    """How often each lane has its turn."""
    calls: dict[str, int]
    """Per turn, by load."""
    approvals: int
    """Per era."""
    created_tools: int
    forks: int
    broker_rounds: int
    listings: int
    """Requests per turn, to the gateway alone."""
    requests: RequestsEffort
    """Beside the rest; alone, they have more of it."""

    @property
    def loads(self) -> tuple[Load, ...]:
        return (
            Load("paced", clients=1, calls=self.calls["paced"], pause_s=_THINKING_S),
            Load("1", clients=1, calls=self.calls["1"]),
            Load(str(MANY), clients=MANY, calls=self.calls[str(MANY)]),
        )


FULL = Effort(
    start_pairs=2,
    rounds=8,
    calls={"paced": 15, "1": 40, str(MANY): 80},
    approvals=20,
    created_tools=100,
    forks=400,
    broker_rounds=10,
    listings=50,
    requests=RequestsEffort(samples=30, turns=2, lifecycles=64, waiting=200),
)
QUICK = Effort(
    start_pairs=1,
    rounds=1,
    calls={"paced": 5, "1": 5, str(MANY): 32},
    approvals=2,
    created_tools=5,
    forks=40,
    broker_rounds=1,
    listings=5,
    requests=RequestsEffort(samples=3, turns=1, lifecycles=4, waiting=12),
)
REQUESTS = RequestsEffort(samples=100, turns=6, lifecycles=128, waiting=10_000)
REQUESTS_QUICK = RequestsEffort(samples=10, turns=1, lifecycles=16, waiting=40)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    parser.add_argument("--quick", action="store_true", help="few samples: does it run at all?")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--gateway", action="store_true", help="the gateway alone")
    one.add_argument("--sandbox", action="store_true", help="the sandbox alone")
    one.add_argument("--requests", action="store_true", help="requests alone, 10,000 waiting")
    one.add_argument("--soak", type=float, metavar="SECONDS", help="load it for so long instead")
    given = parser.parse_args()
    # What was started must be stopped, also when we are told to end.
    signal.signal(signal.SIGTERM, _end)
    try:
        found, text = _measured(given, QUICK if given.quick else FULL)
    except (BenchmarkFailed, aiohttp.ClientError, TimeoutError) as error:
        sys.exit(f"The benchmarks failed. {error}")
    print(json.dumps(found, indent=2) if given.json else text)


def _measured(given: argparse.Namespace, effort: Effort) -> tuple[dict[str, Any], str]:
    """For programs, and for people."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        if given.soak:
            soaked = runner.run(soak(given.soak))
            return asdict(soaked), soak_as_text(soaked)
        if given.gateway:
            listings = runner.run(_measure_gateway(effort))
            context = measure_context()
            found = {"listings": _plain(listings), "context": asdict(context)}
            return found, listings_as_text(listings, context)
        if given.sandbox:
            isolation, broker = runner.run(_measure_sandbox(effort))
            found = {"isolation": asdict(isolation), "broker": asdict(broker)}
            return found, isolation_as_text(isolation, broker)
        if given.requests:
            lifecycles = runner.run(_measure_requests(REQUESTS_QUICK if given.quick else REQUESTS))
            return asdict(lifecycles), lifecycles_as_text(lifecycles)
    report = run(effort)
    return asdict(report), as_text(report)


async def _measure_sandbox(effort: Effort) -> tuple[Isolation, Broker]:
    _say("Measuring the sandbox ...")
    isolation = await measure_isolation(effort.loads, rounds=effort.rounds, forks=effort.forks)
    return isolation, broker_of(await measure_broker(effort.broker_rounds))


async def _measure_gateway(effort: Effort) -> Costs:
    _say("Measuring the gateway ...")
    return await measure_listings(rounds=effort.rounds, requests=effort.listings)


def _plain(costs: Costs) -> dict[str, Any]:
    return {
        method: {
            count: {era: asdict(cost) for era, cost in by_era.items()}
            for count, by_era in by_count.items()
        }
        for method, by_count in costs.items()
    }


async def _measure_requests(effort: RequestsEffort) -> Lifecycles:
    with (
        tempfile.TemporaryDirectory(prefix="mcpbox-bench-") as directory,
        installation_in(Path(directory) / "only") as installation,
    ):
        _say("Starting MCPbox ...")
        installation.up()
        _say("Asking and deciding ...")
        return await measure_lifecycles(installation, effort)


def run(effort: Effort) -> Report:
    began = time.perf_counter()
    machine = this_machine()
    _say(f"Starting MCPbox, {effort.start_pairs} x cold and warm ...")
    with (
        tempfile.TemporaryDirectory(prefix="mcpbox-bench-") as directory,
        measured_starts(Path(directory), pairs=effort.start_pairs) as (installation, starts),
        running_floor() as floor,
        asyncio.Runner(loop_factory=auto_loop_factory()) as runner,
    ):
        return runner.run(_Session(effort, installation, floor).measure(machine, starts, began))


class _Session:
    """What is measured while one instance and the floor run."""

    def __init__(self, effort: Effort, installation: Installation, floor: Listening) -> None:
        self._effort = effort
        self._installation = installation
        self._floor = floor
        self._token = installation.new_client()

    async def measure(self, machine: Machine, starts: Starts, began: float) -> Report:
        """``began``: of the whole run, in seconds of ``perf_counter``."""
        effort = self._effort
        at_rest = self._installation.resident_mib()
        async with office_of(self._installation, self._token) as office:
            _say("Calling tools ...")
            found = await self._measure_calls(office)
            _say("Writing and publishing tools ...")
            create_tool = await measure_create_tool(office, samples=effort.created_tools)
            approvals = await measure_approvals(
                office, self._installation.gateway_url, self._token, samples=effort.approvals
            )
        _say("Asking and deciding ...")
        lifecycles = await measure_lifecycles(self._installation, effort.requests)
        after_load = self._installation.resident_mib()
        listings = await _measure_gateway(effort)
        isolation, broker = await _measure_sandbox(effort)
        gateway, floor = _by_era("gateway", found), _by_era("floor", found)
        return Report(
            machine=machine,
            duration_s=round(time.perf_counter() - began, 1),
            gateway=gateway,
            floor=floor,
            gateway_to_floor={
                era: {load: ratio_of(gateway[era][load], floor[era][load]) for load in gateway[era]}
                for era in ERAS
            },
            sandbox={path: _by_load(f"sandbox /{path}", found) for path in ("runs", "health")},
            approvals=approvals,
            create_tool=create_tool,
            requests=lifecycles,
            starts=starts,
            memory=Memory(
                at_rest_mib=round(sum(at_rest.values()), 1),
                after_load_mib=round(sum(after_load.values()), 1),
                services_after_load_mib=after_load,
            ),
            isolation=isolation,
            broker=broker,
            listings=listings,
            context=measure_context(),
        )

    async def _measure_calls(self, office: Office) -> dict[str, dict[str, Throughput]]:
        """``{load: {lane: …}}``."""
        async with AsyncExitStack() as stack:
            lanes = await self._lanes(stack, await office.publish())
            return {
                load.name: await measure(lanes, load, rounds=self._effort.rounds)
                for load in self._effort.loads
            }

    async def _lanes(self, stack: AsyncExitStack, tool: str) -> Sequence[Lane]:
        """Neighbours are what is compared."""
        pids = self._installation.pids()
        working = {name: pids[name] for name in ("gateway", "sandbox", "postgres")}
        of_gateway = await stack.enter_async_context(
            mcp_lanes("gateway", self._installation.gateway_url, tool, working, token=self._token)
        )
        of_floor = await stack.enter_async_context(
            mcp_lanes("floor", self._floor.url, TOOL_NAME, {"floor": self._floor.pid})
        )
        of_sandbox = await stack.enter_async_context(
            sandbox_lanes(
                str(self._installation.sandbox_socket),
                self._installation.sandbox_api_key,
                pids["sandbox"],
                self._installation.receipt_signer,
            )
        )
        paired = [lane for pair in zip(of_gateway, of_floor, strict=True) for lane in pair]
        return [*paired, *of_sandbox]


def _by_era(
    name: str, found: Mapping[str, Mapping[str, Throughput]]
) -> dict[Era, dict[str, Throughput]]:
    return {era: _by_load(lane_name(name, era), found) for era in ERAS}


def _by_load(lane: str, found: Mapping[str, Mapping[str, Throughput]]) -> dict[str, Throughput]:
    return {load: by_lane[lane] for load, by_lane in found.items()}


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _say(text: str) -> None:
    """Beside the answer, which a program may read."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
