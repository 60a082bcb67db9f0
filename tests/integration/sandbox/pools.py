"""The pool inside the test's process: the guard can be left out there, to try what is behind it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import Bundle, CheckRequest, RunLimits, RunResult
from sandbox.hosts import HostGrant, HostGrants
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.runner import Runner


class Anywhere(HostGrants):
    """Every host is granted: then only the addresses are judged."""

    def covers(self, host: str, port: int) -> bool:
        return bool(host) and port > 0


class Bench:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._runner = Runner(Pools(pool), ConnectionPools(), Admission())

    async def run(
        self,
        code: str,
        arguments: dict[str, Any] | None = None,
        *,
        guarded: bool = False,
        grants: HostGrants | None = None,
        wall_s: float = 10,
    ) -> RunResult:
        bundle = Bundle(code=code)
        return await self._runner.run(
            Registered(bundle.key, bundle, grants or HostGrants(())),
            arguments=arguments,
            limits=RunLimits(wall_s=wall_s),
            guarded=guarded,
        )

    async def is_rejected(self, code: str) -> bool:
        return bool(await self._runner.check(CheckRequest(code=code)))


@asynccontextmanager
async def bench() -> AsyncGenerator[Bench]:
    pool = Pool(size=3)
    try:
        await pool.start()
        yield Bench(pool)
    finally:
        await pool.stop()


def private(host_and_port: str) -> HostGrants:
    return HostGrants([host_and_port], [HostGrant.parse(host_and_port)])
