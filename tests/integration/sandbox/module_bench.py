"""Sets of modules and their fork servers inside the test's process."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import Bundle, RunLimits, RunResult, StdioServer
from sandbox.module_pools import ModulePools
from sandbox.module_sets.store import ModuleSets
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.runner import Runner
from tests.integration.sandbox.wheels import Made, set_of

WITHOUT_NAMESPACES = frozenset({"namespaces", "private_root"})
LAYERS = pytest.mark.parametrize(
    "without", [frozenset[str](), WITHOUT_NAMESPACES], ids=["all layers", "no namespaces"]
)
ONE = "async def main():\n    return 1\n"


def importing(module: str, expression: str) -> str:
    return f"import {module}\nasync def main():\n    return {expression}\n"


def message_of(result: RunResult) -> str:
    assert result.error is not None, result
    return result.error.message


class ModuleBench:
    def __init__(self, sets: ModuleSets, modules: ModulePools, base: Pool) -> None:
        self.sets = sets
        self.modules = modules
        self.base = base
        self._runner = Runner(Pools(base, modules), ConnectionPools(), Admission())

    async def install(self, *wheels: Made) -> str:
        """The key of the set."""
        for wheel in wheels:
            await self.sets.receive_wheel(wheel.sha256, wheel.pieces())
        return (await self.sets.install(set_of(*wheels))).key

    async def run(
        self,
        code: str,
        module_set: str | None,
        *modules: str,
        server: str = "ana",
        guarded: bool = True,
        on_output: Callable[[bytes], None] | None = None,
    ) -> RunResult:
        bundle = Bundle(code=code, modules=modules, module_set=module_set, server=server)
        return await self._runner.run(
            Registered.of(bundle),
            limits=RunLimits(wall_s=20),
            guarded=guarded,
            on_output=on_output,
        )

    async def speak(
        self, stdio: StdioServer, module_set: str, arguments: dict[str, Any] | None = None
    ) -> RunResult:
        bundle = Bundle(code="", stdio=stdio, modules=(stdio.module,), module_set=module_set)
        limits = RunLimits(wall_s=20)
        return await self._runner.run(Registered.of(bundle), arguments=arguments, limits=limits)


@asynccontextmanager
async def module_bench(
    directory: Path,
    *,
    without: frozenset[str] = frozenset(),
    max_count: int = 8,
    idle_s: float = 300,
) -> AsyncGenerator[ModuleBench]:
    sets = ModuleSets(directory)
    modules = ModulePools(sets, max_count=max_count, idle_s=idle_s, without=without)
    base = Pool(size=1, without=without)
    try:
        sets.open()
        await base.start()
        yield ModuleBench(sets, modules, base)
    finally:
        await modules.stop()
        await base.stop()
        await sets.aclose()
