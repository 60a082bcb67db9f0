"""The pool inside the test's process: the guard can be left out there, to try what is behind it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import Bundle, CheckRequest, RunLimits, RunResult
from sandbox.hosts import HostGrant, HostGrants
from sandbox.lockdown import cgroups
from sandbox.lockdown.cgroups import Bounds, Cgroup
from sandbox.pinned import ConnectionPools, Resolver, resolve
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.runner import Runner
from sandbox.secrets import NO_SECRETS, Secrets

_BOUNDS = Bounds(memory_bytes=4 * 2**30, processes=200)


class Anywhere(HostGrants):
    """Every host is granted: then only the addresses are judged."""

    def covers(self, host: str, port: int) -> bool:
        return bool(host) and port > 0


class Bench:
    def __init__(self, pool: Pool, resolver: Resolver = resolve) -> None:
        self.pool = pool
        self.runner = Runner(Pools(pool), ConnectionPools(resolver), Admission())

    async def run(
        self,
        code: str,
        arguments: dict[str, Any] | None = None,
        *,
        guarded: bool = False,
        grants: HostGrants | None = None,
        wall_s: float = 10,
        secrets: Secrets = NO_SECRETS,
    ) -> RunResult:
        bundle = Bundle(code=code)
        return await self.runner.run(
            Registered(bundle.key, bundle, grants or HostGrants(())),
            arguments=arguments,
            limits=RunLimits(wall_s=wall_s),
            guarded=guarded,
            secrets=secrets,
        )

    async def is_rejected(self, code: str) -> bool:
        return bool(await self.runner.check(CheckRequest(code=code)))


@asynccontextmanager
async def bench(
    *, without: frozenset[str] = frozenset(), resolver: Resolver = resolve
) -> AsyncGenerator[Bench]:
    """``without``: layers that are left out, to see how the rest holds."""
    cgroup = cgroups.attempt(_BOUNDS)
    pool = Pool(size=3, without=without, cgroup=cgroup)
    try:
        await pool.start()
        yield Bench(pool, resolver)
    finally:
        await pool.stop()
        if isinstance(cgroup, Cgroup):
            cgroup.remove()


def private(host_and_port: str, *public: str) -> HostGrants:
    """``host_and_port`` may resolve to a private address, the others may not."""
    return HostGrants([host_and_port, *public], [HostGrant.parse(host_and_port)])
