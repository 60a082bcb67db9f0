"""A runner with residents inside the test's process; nothing guards the code that it runs."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import Bundle, IsolationMode, RunLimits, RunResult
from sandbox.hosts import HostGrants
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.residents import Residents, Terms
from sandbox.runner import Runner
from sandbox.secrets import NO_SECRETS, Secrets
from tests.integration.sandbox.processes import below

PLAIN = "async def main(): return counted()"
COUNTING = """
import os
calls = 0
def counted(**more):
    global calls
    calls += 1
    return {"calls": calls, "pid": os.getpid(), **more}
"""


class Lodge:
    def __init__(self, pool: Pool, terms: Terms, *, max_idle: int = 8) -> None:
        self.pool = pool
        self.residents = Residents(max_idle=max_idle, terms=terms)
        self._runner = Runner(Pools(pool), ConnectionPools(), Admission(), residents=self.residents)

    async def call(
        self,
        main: str,
        arguments: dict[str, Any] | None = None,
        *,
        limits: RunLimits = RunLimits(wall_s=20),  # noqa: B008  frozen
        hosts: tuple[str, ...] = (),
        secrets: Secrets = NO_SECRETS,
    ) -> RunResult:
        """``main``: the rest of a module that can count its calls; nothing guards it."""
        bundle = Bundle(code=COUNTING + main, hosts=hosts, isolation=IsolationMode.RELEASE)
        return await self._runner.run(
            Registered(bundle.key, bundle, HostGrants(hosts)),
            arguments=arguments,
            limits=limits,
            guarded=False,
            secrets=secrets,
        )

    def close(self) -> None:
        self._runner.close()


@asynccontextmanager
async def lodge(terms: Terms = Terms(), *, max_idle: int = 8) -> AsyncGenerator[Lodge]:  # noqa: B008
    pool = Pool(size=2)
    try:
        await pool.start()
        opened = Lodge(pool, terms, max_idle=max_idle)
        yield opened
        opened.close()
    finally:
        await pool.stop()


def on_the_host(pid: int) -> int:
    """Of a process that knows itself as ``pid`` in a pid namespace of ours."""
    for one in below(os.getpid()):
        status = Path(f"/proc/{one}/status").read_text().splitlines()
        inside = next(line.split()[-1] for line in status if line.startswith("NSpid:"))
        if int(inside) == pid:
            return one
    raise AssertionError(f"no process is {pid} in its namespace")
