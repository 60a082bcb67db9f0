"""A client that waits for people hears of it the moment they have acted."""

import asyncio
from typing import Any

import pytest
from mcp import Client

from mcpbox.domain.ids import RequestId
from mcpbox.domain.requests import RequestDetail
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.changes import Topic
from tests.service.gateway.factories import soon
from tests.service.gateway.running import RunningGateway
from tests.service.gateway.test_management_tools import call, made
from tests.service.gateway.world import World

LONG_S = 60


async def asked(client: Client, world: World) -> RequestDetail:
    _, tool_id = await made(client)
    await call(client, "mcpbox_request_publish", tool_id=tool_id)
    [request] = world.requests.values()
    return request


class Waiting:
    """A call that is held at the gateway, which has looked at the request already."""

    def __init__(self, client: Client, world: World, request_id: RequestId) -> None:
        self._client, self._world, self._id = client, world, request_id
        self.looked = asyncio.Event()
        self._looks = 0

    async def __aenter__(self) -> "asyncio.Task[dict[str, Any]]":
        self._world.on_look = self._count
        asking = asyncio.create_task(
            call(
                self._client,
                "mcpbox_wait_for_request",
                request_id=str(self._id),
                seconds=LONG_S,
            )
        )
        await soon(self.looked.wait())
        return asking

    def _count(self) -> None:
        """The second look is taken by those who listen already."""
        self._looks += 1
        if self._looks == 2:
            self.looked.set()

    async def __aexit__(self, *_: object) -> None:
        self._world.on_look = None


async def test_a_denial_ends_the_wait_with_its_reason(
    gateway: RunningGateway, era: str, world: World
) -> None:
    async with gateway.client(era) as client:
        request = await asked(client, world)

        async with Waiting(client, world, request.id) as waiting:
            world.decide(request.id, Verdict.DENY, "Not like this.")
            told = await soon(waiting)

        assert (told["moved"], told["request"]["state"]) == (True, "denied")
        assert told["denial_reason"] == "Not like this."


async def test_a_change_of_another_request_does_not(
    gateway: RunningGateway, era: str, world: World
) -> None:
    async with gateway.client(era) as client:
        request = await asked(client, world)

        async with Waiting(client, world, request.id) as waiting:
            assert world.changes is not None
            world.changes.tell(Topic.REQUESTS, "another")
            world.changes.tell(Topic.CATALOG, "")
            assert not waiting.done()
            world.decide(request.id, Verdict.REQUEST_CHANGES, "Smaller, please.")
            told = await soon(waiting)

        assert told["requested_changes"] == ["Smaller, please."]
        assert "mcpbox_revise_request" in told["next"]


async def test_what_was_missed_while_postgres_was_away_is_found_on_its_return(
    gateway: RunningGateway, era: str, world: World
) -> None:
    async with gateway.client(era) as client:
        request = await asked(client, world)

        async with Waiting(client, world, request.id) as waiting:
            changes, world.changes = world.changes, None
            assert changes is not None
            world.approve(request.id)
            assert not waiting.done()
            world.changes = changes
            changes.come_back()
            told = await soon(waiting)

        assert told["request"]["state"] == "applied"


async def test_a_wait_is_over_after_its_time_and_says_that_nothing_moved(
    gateway: RunningGateway, era: str, world: World
) -> None:
    async with gateway.client(era) as client:
        request = await asked(client, world)

        told = await call(client, "mcpbox_wait_for_request", request_id=str(request.id), seconds=0)

        assert (told["moved"], told["request"]["state"]) == (False, "awaiting_decision")


async def test_a_gateway_that_stops_lets_nobody_wait(
    gateway: RunningGateway, era: str, world: World
) -> None:
    async with gateway.client(era) as client:
        request = await asked(client, world)

        async with Waiting(client, world, request.id) as waiting:
            gateway.gateway.drain()
            told = await soon(waiting)

        assert told["moved"] is False


@pytest.mark.parametrize("seconds", [-1, 61])
async def test_nobody_waits_for_longer_than_a_minute(
    gateway: RunningGateway, era: str, world: World, seconds: int
) -> None:
    async with gateway.client(era) as client:
        request = await asked(client, world)

        result = await client.call_tool(
            "mcpbox_wait_for_request", {"request_id": str(request.id), "seconds": seconds}
        )

        assert result.is_error
        assert "seconds" in result.structured_content["error"]["message"]
