"""What was measured, as JSON or as tables."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.broker import BrokerSamples
from benchmarks.calls import Throughput
from benchmarks.context import Context
from benchmarks.isolation import Isolation
from benchmarks.lifecycles import Lifecycles, rows_of
from benchmarks.listings import Costs
from benchmarks.mcp_http import Era
from benchmarks.publishing import Approvals
from benchmarks.samples import Latency, latency_of
from benchmarks.starts import Starts

_SEPARATOR = "  "


@dataclass(frozen=True)
class Machine:
    """As it was before anything was started."""

    cores: int
    load_average: tuple[float, float, float]
    python: str
    mcp: str


@dataclass(frozen=True)
class Ratio:
    """The gateway's, divided by the floor's."""

    p50: float
    p99: float
    per_second: float


@dataclass(frozen=True)
class Memory:
    """Proportional set size in MiB."""

    at_rest_mib: float
    after_load_mib: float
    services_after_load_mib: dict[str, float]


@dataclass(frozen=True)
class Broker:
    """Of one request of a tool, to a server on this machine."""

    direct: Latency
    brokered: Latency
    added_ms: float
    """At the median."""


@dataclass(frozen=True)
class Report:
    """Compatibility rule: fields are only added.

    ``dict[str, …]`` of calls are by load: "1" and "16" clients without a pause, "paced" is one
    client that pauses between its calls.
    """

    machine: Machine
    duration_s: float
    gateway: dict[Era, dict[str, Throughput]]
    floor: dict[Era, dict[str, Throughput]]
    gateway_to_floor: dict[Era, dict[str, Ratio]]
    sandbox: dict[str, dict[str, Throughput]]
    approvals: dict[Era, Approvals]
    create_tool: Latency
    requests: Lifecycles
    starts: Starts
    memory: Memory
    isolation: Isolation
    broker: Broker
    listings: Costs
    context: Context


def this_machine() -> Machine:
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        load_average=os.getloadavg(),
        python=platform.python_version(),
        mcp=importlib.metadata.version("mcp"),
    )


def ratio_of(gateway: Throughput, floor: Throughput) -> Ratio:
    return Ratio(
        p50=round(gateway.p50_ms / floor.p50_ms, 2),
        p99=round(gateway.p99_ms / floor.p99_ms, 2),
        per_second=round(gateway.per_second / floor.per_second, 3),
    )


def broker_of(samples: BrokerSamples) -> Broker:
    return Broker(
        direct=latency_of(samples.direct),
        brokered=latency_of(samples.brokered),
        added_ms=round(samples.added_ms, 3),
    )


def as_text(report: Report) -> str:
    machine = report.machine
    load = " ".join(f"{value:.1f}" for value in machine.load_average)
    head = (
        f"Python {machine.python}, mcp {machine.mcp}, {machine.cores} cores, "
        f"load at start {load}, measured in {report.duration_s:.0f} s"
    )
    tables = (_calls(report), _ratios(report), _sandbox(report), _waits(report), _resources(report))
    own = isolation_as_text(report.isolation, report.broker)
    requests = lifecycles_as_text(report.requests)
    listings = listings_as_text(report.listings, report.context)
    return "\n\n".join([head, *map(_aligned, tables), listings, requests, own])


def listings_as_text(costs: Costs, context: Context) -> str:
    return "\n\n".join(map(_aligned, (_alone(costs), _context(context))))


def lifecycles_as_text(found: Lifecycles) -> str:
    return _aligned(rows_of(found))


def isolation_as_text(isolation: Isolation, broker: Broker) -> str:
    return "\n\n".join(
        map(_aligned, (_served(isolation), _forked(isolation), _crowded(isolation), _sent(broker)))
    )


def _calls(report: Report) -> list[list[str]]:
    rows = [_throughput_head("tools/call")]
    for name, measured in (("gateway", report.gateway), ("floor", report.floor)):
        for era, by_load in measured.items():
            rows += [_throughput(f"{name} {era}", n, found) for n, found in by_load.items()]
    return rows


def _ratios(report: Report) -> list[list[str]]:
    rows = [["gateway / floor", "load", "p50", "p99", "calls/s"]]
    for era, by_load in report.gateway_to_floor.items():
        rows += [
            [era, load, f"{ratio.p50:.2f}", f"{ratio.p99:.2f}", f"{ratio.per_second:.2f}"]
            for load, ratio in by_load.items()
        ]
    return rows


def _alone(costs: Costs) -> list[list[str]]:
    rows = [
        [
            "the gateway alone",
            "tools",
            "p50 ms",
            "CPU ms",
            "floor: p50 ms",
            "CPU ms",
            "CPU to floor",
        ]
    ]
    for method, by_count in costs.items():
        for count, by_era in by_count.items():
            for era, cost in by_era.items():
                figures = [
                    figure
                    for found in (cost.gateway, cost.floor)
                    for figure in (found.p50_ms, sum(found.cpu_ms.values()))
                ]
                cells = [f"{figure:.2f}" for figure in (*figures, cost.cpu_to_floor)]
                rows.append([f"{method} {era}", count, *cells])
    return rows


def _context(context: Context) -> list[list[str]]:
    return [
        ["in a model's context", "tokens"],
        ["1,000 tools, listed", str(context.listed)],
        ["a search, listed", str(context.searching)],
        ["what one search finds", str(context.a_search)],
        ["one tool, described", str(context.a_description)],
    ]


def _sandbox(report: Report) -> list[list[str]]:
    rows = [_throughput_head("sandbox alone")]
    for path, by_load in report.sandbox.items():
        rows += [_throughput(f"/{path}", n, found) for n, found in by_load.items()]
    return rows


def _served(isolation: Isolation) -> list[list[str]]:
    rows = [_throughput_head("isolation")]
    for name, by_load in isolation.lanes.items():
        rows += [_throughput(name, load, found) for load, found in by_load.items()]
    beyond = isolation.call_beyond_health_ms
    cells = [f"{beyond['p50']:.2f}", f"{beyond['p99']:.2f}"]
    rows.append(["a call, beyond health", "paced", "", *cells])
    return [*rows, ["release / call", "16", "", "", "", f"{isolation.release_to_call:.2f}"]]


def _forked(isolation: Isolation) -> list[list[str]]:
    forking, floor = isolation.forking, isolation.forking.bare
    of_floor = f"CPU {floor.cpu_ms:.2f} ms, {floor.pages:.0f} pages"
    return [
        ["one process per call, 16 callers", "calls/s", "of bare", ""],
        ["fork and end", f"{floor.per_second:.0f}", "1.00", of_floor],
        ["without locks", f"{forking.unlocked_per_second:.0f}", "", ""],
        ["with them", f"{forking.locked_per_second:.0f}", f"{forking.locked_to_bare:.2f}", ""],
        ["with / without", "", f"{forking.locked_to_unlocked:.2f}", ""],
        ["idle pool (PSS)", f"{isolation.idle_pool_mib:.0f} MiB", "", ""],
    ]


def _crowded(isolation: Isolation) -> list[list[str]]:
    burst = isolation.burst
    rows = [["a call", "p50 ms", "p99 ms", "to idle", "errors"]]
    latency = [f"{burst.p50_ms:.1f}", f"{burst.p99_ms:.1f}"]
    rows.append([f"in a burst of {burst.samples}", *latency, "", str(burst.errors)])
    for name, found in isolation.neighbours.items():
        latency = [f"{found.p50_ms:.1f}", f"{found.p99_ms:.1f}"]
        rows.append([f"beside {name} per core", *latency, f"{found.to_idle:.2f}", ""])
    return rows


def _sent(broker: Broker) -> list[list[str]]:
    return [
        ["a request of a tool", "samples", "p50 ms", "p99 ms"],
        _latency("httpx alone", broker.direct),
        _latency("through the broker", broker.brokered),
        ["added", "", f"{broker.added_ms:.2f}", ""],
    ]


def _waits(report: Report) -> list[list[str]]:
    rows = [["from a decision to", "samples", "p50 ms", "p99 ms"]]
    for era, found in report.approvals.items():
        rows += [
            _latency(f"its answer ({era})", found.decision_to_answer),
            _latency(f"list_changed ({era})", found.decision_to_list_changed),
            _latency(f"a client's result ({era})", found.decision_to_callable),
        ]
    return [*rows, _latency("mcpbox_create_tool", report.create_tool)]


def _resources(report: Report) -> list[list[str]]:
    starts, memory = report.starts, report.memory
    rows = [["start", "samples", "median s", "max s"]]
    for name, start in (("cold", starts.cold), ("warm", starts.warm)):
        rows.append([name, str(start.samples), f"{start.median_s:.2f}", f"{start.max_s:.2f}"])
    rows += [["memory (PSS)", "", "MiB"], ["at rest", "", f"{memory.at_rest_mib:.0f}"]]
    rows.append(["after load", "", f"{memory.after_load_mib:.0f}"])
    rows += [[f"- {n}", "", f"{mib:.0f}"] for n, mib in memory.services_after_load_mib.items()]
    return rows


def _throughput_head(title: str) -> list[str]:
    return [title, "load", "samples", "p50 ms", "p99 ms", "calls/s", "CPU ms/call"]


def _throughput(name: str, load: str, found: Throughput) -> list[str]:
    _, *latency = _latency(name, found)
    cpu = ", ".join(f"{process} {spent:.2f}" for process, spent in found.cpu_ms.items())
    return [name, load, *latency, f"{found.per_second:.0f}", cpu]


def _latency(name: str, found: Latency) -> list[str]:
    return [name, str(found.samples), f"{found.p50_ms:.2f}", f"{found.p99_ms:.2f}"]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right."""
    columns = max(map(len, rows))
    full = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(len(row[column]) for row in full) for column in range(columns)]
    lines: list[str] = []
    for first, *rest in full:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append(_SEPARATOR.join(cells).rstrip())
    return "\n".join(lines)
