"""Over the socket in both eras: list changes, narrowing, disconnects, shutdown."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from mcp import Client
from mcp_types import ToolListChangedNotification

from gateway.app import Gateway
from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.servers import DesiredState
from mcpbox.store.changes import Topic
from tests.service.gateway.conftest import ERAS
from tests.service.gateway.factories import a_callable, soon
from tests.service.gateway.raw import JSON_AND_SSE, LIST, call_of, initialized
from tests.service.gateway.running import TOKEN, RunningGateway, running, text_of
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World


class Listener:
    """Hears of a changed list, as its era does it."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def on_message(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self.heard.set()

    @asynccontextmanager
    async def listening(self, client: Client) -> AsyncGenerator[None]:
        if client.protocol_version < "2026":
            yield
            return
        async with client.listen(tools_list_changed=True) as subscription:

            async def hear() -> None:
                async for _ in subscription:
                    self.heard.set()

            hearing = asyncio.create_task(hear())
            yield
            hearing.cancel()


async def test_a_connected_client_learns_of_a_new_tool_and_calls_it(
    gateway: RunningGateway, world: World, era: str
) -> None:
    listener = Listener()
    async with (
        gateway.client(era, on_message=listener.on_message) as client,
        listener.listening(client),
    ):
        before = [tool.name for tool in (await client.list_tools()).tools]
        # The handshake-era stream opens beside the requests, so tell until it is heard.
        async with asyncio.timeout(5):
            while not listener.heard.is_set():
                world.narrow("calc__add", enabled=False)
                await asyncio.sleep(0.02)
                world.callables = [a_callable()]
                world.narrow("calc__add")
                await asyncio.sleep(0.02)
        after = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("calc__add", {"a": 1})

    assert "calc__add" not in before
    assert "calc__add" in after
    assert result.structured_content == {"sum": 3}


async def test_a_client_that_stops_a_server_sees_its_tools_go(
    gateway: RunningGateway, world: World, era: str
) -> None:
    async with gateway.client(era) as client:
        created = await client.call_tool("mcpbox_create_server", {"name": "calc"})
        server_id = created.structured_content["id"]
        code = "async def main(a: int) -> int:\n    return a + 1\n"
        drafted = await client.call_tool(
            "mcpbox_create_tool", {"server_id": server_id, "name": "inc", "code": code}
        )
        await client.call_tool(
            "mcpbox_request_publish", {"tool_id": drafted.structured_content["id"]}
        )
        world.approve(next(iter(world.requests)))
        await gateway.caught_up()
        called = await client.call_tool("calc__inc", {"a": 1})
        await client.call_tool("mcpbox_stop_server", {"server_id": server_id})
        await gateway.caught_up()
        refused = await client.call_tool("calc__inc", {"a": 1})
        names = [tool.name for tool in (await client.list_tools()).tools]

    assert called.structured_content == {"result": 2}
    assert refused.is_error
    assert "is stopped" in text_of(refused)
    assert "calc__inc" not in names


async def test_i9_a_stopped_server_ends_the_calls_in_flight(
    gateway: RunningGateway, world: World, era: str
) -> None:
    world.release(a_callable())
    world.sandbox.may_end = asyncio.Event()
    async with gateway.client(era) as client, asyncio.TaskGroup() as beside:
        await gateway.caught_up()
        calling = beside.create_task(client.call_tool("calc__add", {"a": 1}))
        await soon(world.sandbox.started.wait())
        world.narrow("calc__add", server_state=DesiredState.STOPPED)
        result = await soon(calling)

    assert result.is_error
    assert "The run was stopped. The server 'calc' is stopped" in text_of(result)


async def test_the_handshake_promises_list_changes(gateway: RunningGateway, era: str) -> None:
    """The SDK's default promises none over HTTP, and clients then never listen."""
    async with gateway.client("legacy" if era == "legacy" else "auto") as client:
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.tools.list_changed is True
        assert client.protocol_version == ("2025-11-25" if era == "legacy" else era)
        assert "mcpbox_request_publish" in (client.instructions or "")


async def test_a_session_that_ended_is_forgotten(gateway: RunningGateway) -> None:
    async with gateway.http() as http:
        session = {**JSON_AND_SSE, "mcp-session-id": await initialized(http)}
        await http.post("/mcp", json=LIST, headers=session)
        open_ones = (await http.get("/health")).json()["sessions"]
        await http.delete("/mcp", headers=session)
        left = (await http.get("/health")).json()["sessions"]
        again = await http.post("/mcp", json=LIST, headers=session)

    assert (open_ones, left) == (1, 0)
    assert again.status_code == 404


async def test_a_revoked_client_loses_its_streams_and_its_running_calls(
    gateway: RunningGateway, world: World, era: str
) -> None:
    world.release(a_callable())
    world.sandbox.may_end = asyncio.Event()
    async with gateway.http() as http, asyncio.TaskGroup() as beside:
        headers, call = await call_of(http, era)
        calling = beside.create_task(http.post("/mcp", json=call, headers=headers))
        await soon(world.sandbox.started.wait())
        world.revoke(TOKEN)
        answer = await soon(calling)
        later = await http.post("/mcp", json=call, headers=headers)

    await soon(world.sandbox.cancelled.wait())
    assert "sum" not in answer.text
    assert later.status_code == 401


async def test_the_end_of_a_token_acts_on_calls_that_began_when_it_had_none(
    gateway: RunningGateway, world: World, era: str
) -> None:
    """As after a rotation with a grace: the token that was replaced has got an end."""
    world.release(a_callable())
    world.sandbox.may_end = asyncio.Event()
    async with gateway.http() as http, asyncio.TaskGroup() as beside:
        headers, call = await call_of(http, era)
        calling = beside.create_task(http.post("/mcp", json=call, headers=headers))
        await soon(world.sandbox.started.wait())
        end = utc_now() + timedelta(milliseconds=200)
        world.clients[TOKEN] = world.clients[TOKEN].model_copy(update={"expires_at": end})
        world.announce(Topic.CLIENTS)
        answer = await soon(calling)
        later = await http.post("/mcp", json=call, headers=headers)

    await soon(world.sandbox.cancelled.wait())
    assert "sum" not in answer.text
    assert later.status_code == 401
    assert "has expired" in later.json()["error_description"]


async def test_a_client_that_disconnects_ends_its_run(
    gateway: RunningGateway, world: World, era: str
) -> None:
    world.release(a_callable())
    world.sandbox.may_end = asyncio.Event()
    async with gateway.http() as http:
        headers, call = await call_of(http, era)
        calling = asyncio.create_task(http.post("/mcp", json=call, headers=headers))
        await soon(world.sandbox.started.wait())
        calling.cancel()

        await soon(world.sandbox.cancelled.wait())
    await soon(world.written.wait())
    assert "went away" in world.executions[0].error


async def test_without_postgres_calls_are_refused_and_work_again_by_themselves(
    gateway: RunningGateway, world: World, era: str
) -> None:
    world.release(a_callable())
    assert world.changes is not None
    async with gateway.client(era) as client:
        await gateway.caught_up()
        assert not (await client.call_tool("calc__add", {"a": 1})).is_error
        world.postgres_reachable = False
        world.changes.lose(for_s=6)
        refused = await client.call_tool("calc__add", {"a": 1})
        managed = await client.call_tool("mcpbox_list_servers", {})
        world.postgres_reachable = True
        world.changes.come_back()
        again = await client.call_tool("calc__add", {"a": 1})

    assert text_of(refused).startswith("Postgres is not reachable")
    assert text_of(managed).startswith("Postgres is not reachable")
    assert again.structured_content == {"sum": 3}


async def test_shutting_down_lets_calls_finish_and_writes_the_log(world: World) -> None:
    world.release(a_callable())
    world.sandbox.may_end = asyncio.Event()
    async with running(Gateway(parts_of(world))) as gateway, gateway.http() as http:
        headers, call = await call_of(http, ERAS[1])
        calling = asyncio.create_task(http.post("/mcp", json=call, headers=headers))
        await soon(world.sandbox.started.wait())
        gateway.server.should_exit = True
        world.sandbox.may_end.set()
        answer = await soon(calling)

    assert "sum" in answer.text
    assert len(world.executions) == 1


async def test_shutting_down_ends_the_streams_of_both_eras_in_good_order(world: World) -> None:
    async with running(Gateway(parts_of(world))) as gateway, gateway.http() as http:
        session = {**JSON_AND_SSE, "mcp-session-id": await initialized(http)}
        async with (
            http.stream("GET", "/mcp", headers=session) as standalone,
            gateway.client(ERAS[1]) as client,
            client.listen(tools_list_changed=True) as subscription,
        ):
            gateway.server.should_exit = True
            await soon(standalone.aread())
            heard = [event async for event in subscription]
            await soon(gateway.ended.wait())

    assert heard == []


async def test_the_process_ends_when_one_of_its_loops_dies(world: World) -> None:
    """A gateway that hears of no change any more must not go on as if nothing had happened."""

    async def load() -> list[CallableTool]:
        if broken:
            raise RuntimeError("a bug")
        return []

    broken = False
    gateway = Gateway(replace(parts_of(world), load_callables=load))
    async with running(gateway) as serving:
        broken = True
        world.announce(Topic.CATALOG)
        await soon(serving.ended.wait())

    assert gateway.crashed
