"""What ``tools/list`` and ``tools/call`` cost with few and with many tools, beside the floor.

The sandbox is left out: it answers at once, so what is measured is the gateway's own work.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.alone import TOKEN, running_alone
from benchmarks.beside import Listening
from benchmarks.calls import Call, Lane, Load, Throughput, measure
from benchmarks.floor import TOOL_NAME, running_floor
from benchmarks.many_tools import MOST, called_tool
from benchmarks.mcp_http import ERAS, Era, McpClient, connected
from benchmarks.samples import BenchmarkFailed
from benchmarks.tool import ANSWER, ARGUMENTS

COUNTS = (10, MOST)
METHODS = ("tools/list", "tools/call")


@dataclass(frozen=True)
class Cost:
    """Of one method with so many tools; CPU time is the server process's, per request."""

    gateway: Throughput
    floor: Throughput
    cpu_to_floor: float


Costs = dict[str, dict[str, dict[Era, Cost]]]
"""``{method: {number of tools: {era: …}}}``."""


async def measure_listings(*, rounds: int, requests: int) -> Costs:
    """``requests``: per turn of each."""
    costs: Costs = {method: {} for method in METHODS}
    for count in COUNTS:
        with running_alone(count) as alone, running_floor(count) as floor:
            # A listing of many takes long, and so few make a figure.
            turns = {"tools/list": max(requests * 10 // count, 5), "tools/call": requests}
            for method in METHODS:
                load = Load("1", clients=1, calls=turns[method])
                costs[method][str(count)] = await _measured(alone, floor, method, load, rounds)
    return costs


async def _measured(
    alone: Listening, floor: Listening, method: str, load: Load, rounds: int
) -> dict[Era, Cost]:
    async with (
        _lanes("gateway", alone, method, called_tool().name, TOKEN) as of_gateway,
        _lanes("floor", floor, method, TOOL_NAME, None) as of_floor,
    ):
        pairs = zip(of_gateway, of_floor, strict=True)
        found = await measure([lane for pair in pairs for lane in pair], load, rounds=rounds)
    return {
        era: Cost(
            gateway=found[f"gateway {era}"],
            floor=found[f"floor {era}"],
            cpu_to_floor=_ratio(found[f"gateway {era}"], found[f"floor {era}"]),
        )
        for era in ERAS
    }


@asynccontextmanager
async def _lanes(
    name: str, server: Listening, method: str, tool: str, token: str | None
) -> AsyncGenerator[list[Lane]]:
    modern, older = ERAS
    async with (
        connected(server.url, modern, token=token) as (modern_client,),
        connected(server.url, older, token=token) as (older_client,),
    ):
        yield [
            Lane(f"{name} {era}", [_request_of(client, method, tool)], {name: server.pid})
            for era, client in ((modern, modern_client), (older, older_client))
        ]


def _request_of(client: McpClient, method: str, tool: str) -> Call:
    async def list_tools() -> None:
        if tool not in {found["name"] for found in await client.list_tools()}:
            raise BenchmarkFailed(f"{tool} is not listed.")

    async def call() -> None:
        answer = await client.call(tool, ARGUMENTS)
        if answer != ANSWER:
            raise BenchmarkFailed(f"{tool} answered {answer}.")

    return list_tools if method == "tools/list" else call


def _ratio(gateway: Throughput, floor: Throughput) -> float:
    return round(sum(gateway.cpu_ms.values()) / max(sum(floor.cpu_ms.values()), 0.001), 2)
