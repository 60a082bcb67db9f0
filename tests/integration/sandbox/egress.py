"""Tools that call the network, from the pool inside the test's process."""

import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import BoundSecret, Bundle, RunLimits, RunResult
from sandbox.egress import DEFAULT_CAPS, Caps
from sandbox.hosts import HostGrant, HostGrants
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.runner import Runner
from sandbox.secrets import NO_SECRETS, Secrets

Resolver = Callable[[str, int], Awaitable[list[str]]]


class Names:
    """A name server: each name has a list of answers, of which the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def __setitem__(self, name: str, answers: list[list[str]]) -> None:
        self._answers[name] = answers

    async def resolve(self, host: str, port: int) -> list[str]:
        del port
        self.asked.append(host)
        answers = self._answers.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Egress:
    """A pool of children, and connections of its own; localhost may be reached, once granted."""

    def __init__(self, pool: Pool, connections: ConnectionPools, caps: Caps = DEFAULT_CAPS) -> None:
        self._runner = Runner(Pools(pool), connections, Admission(), caps)

    async def run(
        self,
        code: str,
        *hosts: str,
        private: str = "localhost",
        secrets: Secrets = NO_SECRETS,
        limits: RunLimits | None = None,
        **arguments: Any,
    ) -> RunResult:
        bundle = Bundle(code=code, hosts=hosts)
        grants = HostGrants(hosts, [HostGrant.parse(private)] if private else [])
        return await self._runner.run(
            Registered(bundle.key, bundle, grants),
            arguments=arguments,
            limits=limits or RunLimits(wall_s=20),
            secrets=secrets,
        )


@asynccontextmanager
async def egress_through(
    pool: Pool,
    resolver: Resolver | None = None,
    ssl_context: ssl.SSLContext | None = None,
    caps: Caps = DEFAULT_CAPS,
) -> AsyncGenerator[Egress]:
    connections = ConnectionPools(resolver, ssl_context) if resolver else ConnectionPools()
    try:
        yield Egress(pool, connections, caps)
    finally:
        await connections.aclose()


def bound(*hosts: str, **values: str) -> Secrets:
    return Secrets.of(
        {name: BoundSecret(value=SecretStr(value), hosts=hosts) for name, value in values.items()}
    )
