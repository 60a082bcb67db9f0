from collections.abc import AsyncGenerator

import pytest

from gateway.app import Gateway
from tests.service.gateway.running import TOKEN, RunningGateway, running
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World

ERAS = ("legacy", "2026-07-28")


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def world() -> World:
    world = World()
    world.add_client(TOKEN)
    return world


@pytest.fixture
async def gateway(world: World) -> AsyncGenerator[RunningGateway]:
    async with running(Gateway(parts_of(world, public_hosts=("tools.example.org",)))) as gateway:
        yield gateway
