"""Behind a tunnel: its secret, the address of whoever signed in, and what needs one."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.app import Gateway
from gateway.tunnel import tunnel_admission
from mcpbox.settings import Settings
from tests.service.gateway.guest_twins import InMemoryGuests
from tests.service.gateway.raw import INITIALIZE, JSON_AND_SSE, LIST, call_of, initialized
from tests.service.gateway.running import TOKEN, RunningGateway, running
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World

SERVICE_TOKEN = "s" * 32
PROVEN = {**JSON_AND_SSE, "x-mcpbox-service-token": SERVICE_TOKEN}
ANA = {**PROVEN, "x-mcpbox-user-email": "ana@example.org"}
BEN = {**PROVEN, "x-mcpbox-user-email": "ben@example.org"}


@pytest.fixture
def guests(world: World) -> InMemoryGuests:
    return InMemoryGuests(world)


@pytest.fixture
async def tunnelled(world: World, guests: InMemoryGuests) -> AsyncGenerator[RunningGateway]:
    settings = Settings(
        service_token=SecretStr(SERVICE_TOKEN),
        identities=("ana@example.org=ana", "ben@example.org=ben"),
    )
    world.authenticate = guests.admit
    async with running(Gateway(parts_of(world, admission=tunnel_admission(settings)))) as gateway:
        yield gateway


def asking(method: str) -> dict[str, Any]:
    asked = {"jsonrpc": "2.0", "method": method, "params": {"name": "calc__add", "requestId": 9}}
    return asked if method.startswith("notifications/") else {**asked, "id": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-mcpbox-user-email": "ana@example.org"},
        {**ANA, "x-mcpbox-service-token": SERVICE_TOKEN[1:]},
        {**ANA, "x-mcpbox-service-token": ""},
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"Bearer {SERVICE_TOKEN}"},
    ],
)
async def test_what_does_not_come_through_the_tunnel_is_refused(
    tunnelled: RunningGateway, headers: dict[str, str]
) -> None:
    async with tunnelled.http(None) as http:
        for body in (INITIALIZE, LIST):
            answer = await http.post("/mcp", json=body, headers={**JSON_AND_SSE, **headers})

            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


async def test_a_header_beside_the_tunnels_own_is_believed_by_nobody(
    tunnelled: RunningGateway,
) -> None:
    twice = [*ANA.items(), ("x-mcpbox-user-email", "ben@example.org")]
    proven_twice = [*ANA.items(), ("x-mcpbox-service-token", SERVICE_TOKEN)]
    async with tunnelled.http(None) as http:
        answers = [
            await http.post("/mcp", json=INITIALIZE, headers=headers)
            for headers in (twice, proven_twice)
        ]

    assert [answer.status_code for answer in answers] == [403, 403]


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("ping", 200),
        ("tools/list", 200),
        ("notifications/cancelled", 202),
        ("tools/call", 403),
        ("resources/read", 403),
        ("prompts/list", 403),
        ("subscriptions/listen", 403),
        ("tools/lists", 403),
    ],
)
async def test_without_an_address_only_what_says_nothing_is_answered(
    tunnelled: RunningGateway, method: str, status: int
) -> None:
    async with tunnelled.http(None) as http:
        http.headers.update(PROVEN)
        session = {"mcp-session-id": await initialized(http)}
        answer = await http.post("/mcp", json=asking(method), headers=session)
        stream = await http.get("/mcp", headers=session)
        ended = await http.delete("/mcp", headers=session)

    assert answer.status_code == status
    assert "mcpbox_" not in answer.text
    assert (stream.status_code, ended.status_code) == (403, 200)


async def test_people_of_the_list_come_in_as_clients_of_theirs(
    tunnelled: RunningGateway, world: World, guests: InMemoryGuests, era: str
) -> None:
    async with tunnelled.http(None) as http:
        http.headers.update(ANA)
        headers, body = await call_of(http, era, "mcpbox_list_servers", {"page": 1})
        listed = await http.post("/mcp", json=body, headers=headers)
        headers, body = await call_of(http, era, "mcpbox_create_server", {"name": "calc"})
        created = await http.post("/mcp", json=body, headers=headers)

    assert '"total":0' in listed.text
    assert "cannot be changed from outside" in created.text  # a tunnel is never this network
    assert {client.owner for client in guests.made} == {"ana"}
    assert not world.servers


@pytest.mark.parametrize("email", ["eve@example.org", "ana@example.org.evil.org", "ana", "", "@"])
async def test_an_address_that_is_not_on_the_list_is_refused_everything(
    tunnelled: RunningGateway, guests: InMemoryGuests, email: str
) -> None:
    async with tunnelled.http(None) as http:
        for body in (INITIALIZE, LIST):
            headers = {**PROVEN, "x-mcpbox-user-email": email}
            answer = await http.post("/mcp", json=body, headers=headers)

            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert not guests.made


async def test_the_session_of_another_person_does_not_exist(tunnelled: RunningGateway) -> None:
    async with tunnelled.http(None) as http:
        http.headers.update(ANA)
        session = {"mcp-session-id": await initialized(http)}
        answers = [
            await http.post("/mcp", json=LIST, headers={**who, **session})
            for who in (ANA, BEN, {"x-mcpbox-user-email": ""})
        ]
        del http.headers["x-mcpbox-user-email"]
        nobody = await http.post("/mcp", json=LIST, headers=session)

    assert [answer.status_code for answer in answers] == [200, 404, 403]
    assert nobody.status_code == 404


async def test_without_a_tunnel_its_headers_mean_nothing(gateway: RunningGateway) -> None:
    async with gateway.http(None) as http:
        answer = await http.post("/mcp", json=LIST, headers=ANA)

    assert answer.status_code == 401
