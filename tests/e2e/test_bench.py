"""The benchmarks run; what they measure is for people to judge, so no figure is asserted."""

import asyncio
import json
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest

ROOT = Path(__file__).parents[2]
LOADS = {"paced", "1", "16"}
MAY_BE_ZERO = {
    "activities",
    "cpu_ms",
    "load_average",
    "errors",
    "call_beyond_health_ms",
    "added_ms",
    "cpu_to_floor",
}
"""CPU time is counted in ticks, and a difference of two figures has their noise."""
ERAS = {"2026-07-28", "2025-11-25"}


@pytest.mark.timeout(240)
async def test_a_quick_run_answers_with_json_that_has_every_figure() -> None:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", "--json"),
        cwd=ROOT,
        env={**os.environ, "MCPBOX_GATEWAY_PORT": "not a port"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, said = await running.communicate()
    assert running.returncode == 0, said.decode()
    report = json.loads(answer)

    for server in ("gateway", "floor", "gateway_to_floor"):
        assert report[server].keys() == ERAS
        assert all(report[server][era].keys() == LOADS for era in ERAS)
    assert report["sandbox"].keys() == {"runs", "health"}
    assert report["approvals"].keys() == ERAS
    assert report["starts"].keys() == {"cold", "warm"}
    assert {"postgres", "temporal", "worker", "sandbox", "gateway", "admin", "supervisor"} == (
        report["memory"]["services_after_load_mib"].keys()
    )
    assert report["isolation"]["lanes"].keys() == {"health", "call", "release"}
    assert report["isolation"]["burst"]["errors"] == 0
    assert report["requests"]["rates"].keys() == {"1", "16", "64"}
    assert report["listings"].keys() == {"tools/list", "tools/call"}
    assert all(found.keys() == {"10", "1000"} for found in report["listings"].values())
    assert {"create_tool", "machine", "duration_s", "broker", "requests"} < report.keys()
    assert [path for path, number in figures(report) if number <= 0] == []


def figures(found: Any, path: str = "") -> Generator[tuple[str, float]]:
    """Every number in a report, by its place, but those that may honestly be zero or less."""
    if isinstance(found, dict):
        for name, inner in cast("dict[str, Any]", found).items():
            if name not in MAY_BE_ZERO:
                yield from figures(inner, f"{path}/{name}")
    elif isinstance(found, int | float):
        yield path, found
