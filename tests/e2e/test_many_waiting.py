"""I7 with many requests at once: processes are killed one by one while people decide."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import asyncpg
import httpx
import pytest

from cli.instance import Instance
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.people import Principal, PrincipalKind, Scope
from mcpbox.store.session import make_sessions, plain_url
from mcpbox.temporal import TemporalGate
from mcpbox.usecases.network import Network
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.servers import Servers
from tests.e2e.crashing import killed_and_back
from tests.instances import Installed
from tests.reviewing import Reviewer

WAITING = int(os.environ.get("WAITING", "30"))
"""``WAITING=500 pytest tests/e2e/test_many_waiting.py`` takes some minutes."""
AT_ONCE = 16
_AGAIN_S = 0.1
VICTIMS = ("worker", "temporal", "postgres")
LLM = Principal(kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset({Scope.AUTHOR}))


@dataclass(frozen=True)
class Counted:
    """Of the requests for one server."""

    applied: int
    decisions: int
    grants: int
    told: int
    """Events that say it was applied."""


@asynccontextmanager
async def asking(crashing: Installed) -> AsyncGenerator[tuple[Servers, Network]]:
    """The use cases themselves: what is tried is what comes behind them."""
    settings = crashing.settings
    sessions = make_sessions(crashing.database_url)
    keys = Instance(settings).temporal_keys()
    gate = TemporalGate(crashing.temporal_address, settings.temporal_namespace, keys)
    requests = Requests(sessions, gate, ttl=settings.request_ttl)
    try:
        yield Servers(sessions), Network(sessions, requests)
    finally:
        await sessions.kw["bind"].dispose()


async def ask(crashing: Installed) -> tuple[str, list[str]]:
    """Id of a server, and of the requests for hosts of its own."""
    at_once = asyncio.Semaphore(AT_ONCE)
    async with asking(crashing) as (servers, network):
        server = await servers.create(LLM, name=f"s{uuid4().hex[:8]}", description="")

        async def one(number: int) -> str:
            access = HostAccess(host=f"h{number}.example.com")
            async with at_once:
                asked = await network.request_access(
                    LLM, server.id, access, justification="The weather."
                )
            return str(asked.id)

        return str(server.id), list(await asyncio.gather(*map(one, range(WAITING))))


async def decided_through(api: httpx.AsyncClient, request_ids: Sequence[str]) -> None:
    """Everybody sends their decision, with the same id, until they are answered."""
    reviewer, at_once = Reviewer(api), asyncio.Semaphore(AT_ONCE)

    async def one(request_id: str) -> None:
        decision: dict[str, Any] = {"id": str(uuid4())}

        async def answered() -> bool:
            try:
                async with at_once:
                    request = await reviewer.request(request_id)
                    answer = await reviewer.decide(request, **decision)
            except (httpx.HTTPError, AssertionError):
                return False
            assert answer.status_code in (201, 503), answer.text
            return answer.status_code == 201

        while not await answered():  # noqa: ASYNC110 - others make it so
            await asyncio.sleep(_AGAIN_S)

    await asyncio.gather(*map(one, request_ids))


async def counted(crashing: Installed, server_id: str) -> Counted:
    connection = await asyncpg.connect(plain_url(crashing.database_url))
    try:
        row = await connection.fetchrow(
            """
            WITH mine AS (SELECT id, state FROM change_requests WHERE server_id = $1::uuid)
            SELECT (SELECT count(*) FROM mine WHERE state = 'applied') AS applied,
                   (SELECT count(*) FROM decisions WHERE request_id IN (SELECT id FROM mine))
                       AS decisions,
                   (SELECT count(*) FROM grants WHERE server_id = $1::uuid) AS grants,
                   (SELECT count(*) FROM audit_events
                     WHERE action = 'request:change:applied'
                       AND subject IN (SELECT 'request:' || id FROM mine)) AS told
            """,
            server_id,
        )
        return Counted(**cast("dict[str, int]", row))
    finally:
        await connection.close()


@pytest.mark.timeout(900)
async def test_i7_of_many_that_wait_none_is_lost_and_none_is_applied_twice(
    crashing: Installed,
) -> None:
    """A third of them is being decided when the worker dies, a third with Temporal and Postgres."""
    async with crashing.api() as api:
        server_id, request_ids = await ask(crashing)
        for request_id in request_ids:
            await Reviewer(api).when(request_id, "awaiting_decision")
        for place, victim in enumerate(VICTIMS):
            theirs = request_ids[place :: len(VICTIMS)]
            deciding = asyncio.create_task(decided_through(api, theirs))
            await one_is_applied(api, theirs)
            await killed_and_back(crashing, victim)
            await deciding
        for request_id in request_ids:
            await Reviewer(api).when(request_id, "applied")

    assert await counted(crashing, server_id) == Counted(WAITING, WAITING, WAITING, WAITING)


async def one_is_applied(api: httpx.AsyncClient, request_ids: Sequence[str]) -> None:
    """They are in the midst of it."""
    await Reviewer(api).when(request_ids[0], "applied")
