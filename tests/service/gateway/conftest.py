from collections.abc import AsyncGenerator, Generator

import pytest
from mcp import Client

from gateway.announcer import Announcer
from gateway.app import Gateway
from gateway.calls import Calls
from gateway.catalog import Catalog
from gateway.execution_log import ExecutionLog
from gateway.line import Line
from gateway.metrics import CallMetrics
from gateway.passing import Passing
from gateway.rates import Rates
from gateway.server import Context, McpFace
from gateway.sources import SourceSessions
from gateway.turns import Turns
from mcpbox.domain.people import Principal, PrincipalKind, Scope
from mcpbox.domain.review_policy import SecuritySettings
from tests.mcp_sources import Source, running_source
from tests.service.gateway.factories import a_passing
from tests.service.gateway.provider_twin import LocalProvider, local_provider
from tests.service.gateway.running import METRICS_TOKEN, TOKEN, Connect, RunningGateway, running
from tests.service.gateway.shop import SECRET, Shop
from tests.service.gateway.use_cases import parts_of, use_cases_of
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
def provider() -> Generator[LocalProvider]:
    with local_provider() as provider:
        yield provider


@pytest.fixture
async def gateway(world: World) -> AsyncGenerator[RunningGateway]:
    parts = parts_of(world, public_hosts=("tools.example.org",), metrics_token=METRICS_TOKEN)
    async with running(Gateway(parts)) as gateway:
        yield gateway


@pytest.fixture
async def source(era: str) -> AsyncGenerator[Source]:
    """Another MCP server, of one era alone."""
    async with running_source(era=era) as source:
        yield source


@pytest.fixture
async def shop(world: World, source: Source) -> AsyncGenerator[Shop]:
    world.callables = [a_passing(source, secret=SECRET)]
    shop = Shop(world, source)
    await shop.catalog.reload()
    yield shop
    await shop.passing.close()


@pytest.fixture
async def connect(world: World, era: str) -> Connect:
    """Clients of the protocol server in memory, with the scopes that they are given."""
    catalog = Catalog(world.load_callables, lambda: None, lambda _: None)
    await catalog.reload()

    def open_client(*scopes: Scope) -> Client:
        principal = Principal(
            kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset(scopes or Scope)
        )

        def line_of(_: Context) -> Line:
            return Line(principal)

        face = McpFace(
            line_of=line_of,
            use_cases=use_cases_of(world),
            catalog=catalog,
            calls=Calls(
                catalog,
                world.sandbox,
                ExecutionLog(world.write_executions),
                Rates(SecuritySettings),
                Turns(),
                CallMetrics(),
                Passing(SourceSessions(world.check_source), world.renew_source),
            ),
            announcer=Announcer(),
            version="1",
        )
        return Client(face.server, mode=era)

    return open_client
