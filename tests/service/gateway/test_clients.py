"""Who a token belongs to: remembered, and forgotten at once."""

import asyncio

import pytest

from gateway.clients import KnownClients
from mcpbox.domain.errors import Unauthenticated, Unavailable
from mcpbox.domain.people import Client
from tests.service.gateway.factories import soon
from tests.service.gateway.running import TOKEN
from tests.service.gateway.world import World


def known(world: World, *, lost_at: float | None = None, now: float = 0.0) -> KnownClients:
    return KnownClients(world.authenticate, world.record_seen, lambda: lost_at, clock=lambda: now)


async def test_a_known_client_costs_no_question(world: World) -> None:
    clients = known(world)
    for _ in range(3):
        await clients.identify(TOKEN)

    assert world.authentications == 1


async def test_an_unknown_token_is_refused_and_asked_about_once(world: World) -> None:
    clients = known(world)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await clients.identify("guess")

    assert world.authentications == 1


async def test_a_revoked_client_is_refused_as_soon_as_the_change_is_told(world: World) -> None:
    clients = known(world)
    await clients.identify(TOKEN)
    world.revoke(TOKEN)
    clients.changed()

    with pytest.raises(Unauthenticated):
        await clients.identify(TOKEN)


async def test_an_answer_older_than_a_revocation_is_not_remembered(world: World) -> None:
    """The revocation is told while the question is on its way."""
    client = world.clients[TOKEN]
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slowly(_: str) -> Client:
        asked.set()
        await answer.wait()
        return client

    clients = KnownClients(slowly, world.record_seen, lambda: None)
    first = asyncio.create_task(clients.identify(TOKEN))
    await soon(asked.wait())
    clients.changed()
    answer.set()
    await soon(first)
    asked.clear()
    await soon(clients.identify(TOKEN))

    assert asked.is_set()


async def test_a_token_is_asked_about_again_when_no_revocation_can_reach_us(
    world: World,
) -> None:
    clients = known(world, lost_at=0.0, now=6.0)
    await clients.identify(TOKEN)
    world.revoke(TOKEN)

    with pytest.raises(Unauthenticated):
        await clients.identify(TOKEN)


async def test_who_was_known_may_ask_on_without_postgres_and_nobody_else(world: World) -> None:
    """What they ask for is refused then, and the answer says why."""
    clients = known(world, lost_at=0.0, now=6.0)
    await clients.identify(TOKEN)
    world.postgres_reachable = False

    assert (await clients.identify(TOKEN)).name == "laptop"
    with pytest.raises(Unavailable, match="Postgres"):
        await clients.identify("guess")


async def test_who_was_seen_is_recorded_beside_the_requests_and_rarely(world: World) -> None:
    clients = known(world)
    recording = asyncio.create_task(clients.run())
    for _ in range(5):
        await clients.identify(TOKEN)
        await asyncio.sleep(0)
    recording.cancel()

    assert world.seen == [{world.clients[TOKEN].id}]
