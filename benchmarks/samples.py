"""Durations, and what is told of them."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


class BenchmarkFailed(Exception):
    """Fit for whoever runs the benchmarks."""


@dataclass(frozen=True)
class Latency:
    samples: int
    p50_ms: float
    p99_ms: float
    """Of fewer than 100 samples, their largest."""


@dataclass(frozen=True)
class Start:
    samples: int
    median_s: float
    max_s: float


def latency_of(durations_s: Sequence[float]) -> Latency:
    return Latency(
        samples=len(durations_s),
        p50_ms=milliseconds(percentile(durations_s, 50)),
        p99_ms=milliseconds(percentile(durations_s, 99)),
    )


def start_of(durations_s: Sequence[float]) -> Start:
    return Start(
        samples=len(durations_s),
        median_s=round(statistics.median(durations_s), 2),
        max_s=round(max(durations_s), 2),
    )


def percentile(values: Sequence[float], wanted: int) -> float:
    """By nearest rank: always one of the values, never a number between two."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * wanted / 100) - 1)]


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
