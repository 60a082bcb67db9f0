"""A client that subscribed to a request hears when it moves, and reads it, in both eras."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from mcp import Client, MCPError
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import ResourceUpdatedNotification

from mcpbox.domain.errors import Unavailable
from mcpbox.domain.people import Scope
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.changes import Topic
from tests.service.gateway.factories import soon
from tests.service.gateway.running import RunningGateway
from tests.service.gateway.test_waiting import asked
from tests.service.gateway.world import World


class Heard:
    """Of which resources a client was told that they moved."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.told = asyncio.Event()

    def add(self, uri: str) -> None:
        self.uris.append(uri)
        self.told.set()

    async def on_message(self, message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.add(str(message.params.uri))

    @asynccontextmanager
    async def of(self, client: Client, uri: str) -> AsyncGenerator[None]:
        """Subscribed, as the client's era does it."""
        if client.protocol_version < "2026":
            # The client warns of the era that it was asked to speak.
            with pytest.warns(MCPDeprecationWarning):
                await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]
            yield
            return
        async with client.listen(resource_subscriptions=[uri]) as subscription:

            async def hear() -> None:
                async for event in subscription:
                    assert isinstance(event, ResourceUpdated)
                    self.add(event.uri)

            hearing = asyncio.create_task(hear())
            yield
            hearing.cancel()


async def test_who_subscribed_hears_that_it_moved_and_reads_why(
    gateway: RunningGateway, era: str, world: World
) -> None:
    heard = Heard()
    async with gateway.client(era, on_message=heard.on_message) as client:
        request = await asked(client, world)
        uri = f"mcpbox://requests/{request.id}"
        async with heard.of(client, uri):
            assert world.changes is not None
            world.decide(request.id, Verdict.DENY, "Not like this.")
            # The handshake-era stream opens beside the requests, so tell until it is heard.
            async with asyncio.timeout(5):
                while not heard.told.is_set():
                    world.changes.tell(Topic.REQUESTS, str(uuid4()))
                    world.changes.tell(Topic.REQUESTS, str(request.id))
                    await asyncio.sleep(0.02)
            [content] = (await soon(client.read_resource(uri))).contents
    told = json.loads(content.text)

    assert set(heard.uris) == {uri}
    assert told["request"]["state"] == "denied"
    assert told["denial_reason"] == "Not like this."


async def test_what_is_no_request_is_no_resource_and_none_is_for_callers_alone(
    gateway: RunningGateway, era: str, world: World
) -> None:
    world.add_client("caller", Scope.CALL, name="caller")
    async with gateway.client(era) as client, gateway.client(era, "caller") as caller:
        request = await asked(client, world)
        for uri in ("mcpbox://requests/x", f"mcpbox://requests/{uuid4()}", "file:///etc/passwd"):
            with pytest.raises(MCPError, match="There is no resource"):
                await client.read_resource(uri)
        with pytest.raises(MCPError, match="scope 'author'"):
            await caller.read_resource(f"mcpbox://requests/{request.id}")
        template, *_ = (await client.list_resource_templates()).resource_templates

    assert template.uri_template == "mcpbox://requests/{request_id}"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("driver text"), "Internal error, reference"),
        (Unavailable("Postgres"), "Postgres is not reachable"),
    ],
)
async def test_a_request_that_cannot_be_read_says_why_and_nothing_from_inside(
    gateway: RunningGateway, era: str, world: World, error: Exception, told: str
) -> None:
    def look() -> None:
        raise error

    async with gateway.client(era) as client:
        request = await asked(client, world)
        world.on_look = look
        with pytest.raises(MCPError) as raised:
            await client.read_resource(f"mcpbox://requests/{request.id}")

    assert told in str(raised.value)
    assert "driver text" not in str(raised.value)
