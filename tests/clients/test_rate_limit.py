"""A client that a status of 429 would cut off outlives its rate limit."""

from gateway.app import Gateway
from gateway.refusals import RATE_EXCEEDED
from tests.clients.driving import Driver, driven
from tests.reviewing import eventually
from tests.service.gateway.factories import a_callable, a_version
from tests.service.gateway.raw import JSON_AND_SSE, LIST
from tests.service.gateway.running import TOKEN, RunningGateway, running
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World


async def limited_to(rpm: int, gateway: RunningGateway, world: World) -> None:
    world.set_security(mcp_rate_limit_rpm=rpm)

    async def loaded() -> bool:
        return gateway.gateway.settings == world.settings

    await eventually(loaded)


async def test_an_older_client_is_told_to_wait_and_goes_on_afterwards() -> None:
    world = World()
    world.add_client(TOKEN)
    world.callables = [a_callable(a_version())]
    driver = Driver("mcp==1.", "limited.py")
    async with (
        running(Gateway(parts_of(world))) as gateway,
        driven(driver, url=gateway.url, token=TOKEN, tool="calc__add", new_tool="") as client,
        gateway.http() as http,
    ):
        await client.told("ready")
        await limited_to(20, gateway, world)
        while (
            "retry-after" not in (await http.post("/mcp", json=LIST, headers=JSON_AND_SSE)).headers
        ):
            pass
        await limited_to(10, gateway, world)
        client.look()
        is_error, text = await client.told("refused")
        code, message = await client.told("not listed")
        await limited_to(1_000_000, gateway, world)
        client.look()
        called = await client.told("called")

    assert is_error
    assert "10 a minute at most. Wait " in text
    assert code == RATE_EXCEEDED
    assert "10 a minute at most. Wait " in message
    assert called == {"sum": 42}
