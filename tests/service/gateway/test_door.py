"""Before the protocol: identity, addresses, size, and what exists at all."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from gateway.endpoint import MAX_BODY_BYTES
from mcpbox.domain.base import utc_now
from mcpbox.domain.people import Scope
from mcpbox.store.changes import Topic
from tests.service.gateway.factories import soon
from tests.service.gateway.raw import INITIALIZE, JSON_AND_SSE, LIST, initialized
from tests.service.gateway.running import TOKEN, RunningGateway
from tests.service.gateway.world import World


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}],
)
async def test_without_a_valid_token_the_answer_is_401_and_says_what_to_do(
    gateway: RunningGateway, headers: dict[str, str]
) -> None:
    async with gateway.http(None) as http:
        for method in ("GET", "POST", "DELETE"):
            answer = await http.request(method, "/mcp", headers=headers)

            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer ")
            assert answer.json()["error"] == "invalid_token"
            assert "mcpbox clients create" in answer.json()["error_description"]


async def test_a_token_that_has_expired_opens_nothing_though_it_is_known(
    gateway: RunningGateway, world: World
) -> None:
    world.clients[TOKEN] = world.clients[TOKEN].model_copy(
        update={"expires_at": utc_now() + timedelta(seconds=1)}
    )
    world.announce(Topic.CLIENTS)
    headers = {**JSON_AND_SSE, "authorization": f"Bearer {TOKEN}"}
    async with gateway.http(None) as http:
        before = await http.post("/mcp", json=INITIALIZE, headers=headers)
        await asyncio.sleep(1.1)  # by the clock alone: nobody tells the gateway of it
        after = await http.post("/mcp", json=INITIALIZE, headers=headers)

    assert (before.status_code, after.status_code) == (200, 401)
    assert "has expired" in after.json()["error_description"]


async def test_a_token_in_the_address_is_no_token(gateway: RunningGateway) -> None:
    async with gateway.http(None) as http:
        answer = await http.post(f"/mcp?access_token={TOKEN}&token={TOKEN}", json=LIST)

    assert answer.status_code == 401


async def test_a_session_id_authenticates_nobody(gateway: RunningGateway, world: World) -> None:
    world.add_client("other", Scope.CALL, name="phone")
    async with gateway.http() as mine, gateway.http("other") as other, gateway.http(None) as no:
        session = {**JSON_AND_SSE, "mcp-session-id": await initialized(mine)}
        own = await mine.post("/mcp", json=LIST, headers=session)
        theirs = await other.post("/mcp", json=LIST, headers=session)
        nobodys = await no.post("/mcp", json=LIST, headers=session)

    assert own.status_code == 200
    assert theirs.status_code == 404
    assert nobodys.status_code == 401


async def test_each_request_of_a_session_has_its_own_scopes(
    gateway: RunningGateway, world: World
) -> None:
    client = world.clients[TOKEN]
    async with gateway.client("legacy") as connected:
        assert (await connected.list_tools()).tools
        world.clients[TOKEN] = client.model_copy(update={"scopes": frozenset({Scope.CALL})})
        world.announce(Topic.CLIENTS)

        listed = (await connected.list_tools(cache_mode="bypass")).tools
        assert [tool.name for tool in listed] == ["mcpbox_search_tools"]


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("host", "evil.example.com", 421),
        ("host", "localhost.evil.example.com:8002", 421),
        ("origin", "https://evil.example.com", 403),
    ],
)
async def test_a_page_of_another_site_reaches_nothing(
    gateway: RunningGateway, header: str, value: str, status: int
) -> None:
    """Against DNS rebinding; source: MCP specification, transports, security warning."""
    async with gateway.http() as http:
        answer = await http.post("/mcp", json=LIST, headers={**JSON_AND_SSE, header: value})

    assert answer.status_code == status
    assert "MCPBOX_PUBLIC_HOSTS" in answer.json()["error_description"]


@pytest.mark.parametrize("host", ["localhost:1234", "[::1]:80", "tools.example.org"])
async def test_loopback_and_public_names_are_answered(gateway: RunningGateway, host: str) -> None:
    headers = {**JSON_AND_SSE, "host": host, "origin": f"https://{host}"}
    async with gateway.http() as http:
        answer = await http.post("/mcp", json=INITIALIZE, headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused_with_the_limit(
    gateway: RunningGateway, chunked: bool
) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(5):
            yield b"x" * 2**20

    body = chunks() if chunked else b"x" * (MAX_BODY_BYTES + 1)
    headers = {**JSON_AND_SSE, "content-type": "application/json"}
    async with gateway.http() as http:
        answer = await http.post("/mcp", content=body, headers=headers)

    assert answer.status_code == 413
    assert "4 MiB" in answer.json()["error_description"]


@pytest.mark.parametrize("path", ["/", "/mcp/", "/api/v1/requests", "/metrics/", "/sse"])
async def test_nothing_but_mcp_and_health_exists(gateway: RunningGateway, path: str) -> None:
    async with gateway.http() as http:
        answer = await http.get(path)

    assert answer.status_code == 404
    assert "/mcp" in answer.json()["error_description"]


async def test_health_tells_details_to_this_machine_only(
    gateway: RunningGateway, world: World
) -> None:
    async with gateway.http(None) as http:
        await gateway.caught_up()
        here = (await http.get("/health")).json()
        world.sandbox.reachable = False
        worse = (await http.get("/health")).json()

    assert here["status"] == "ok"
    assert (here["postgres"], here["sandbox"]) == ("connected", "ready")
    assert (worse["status"], worse["sandbox"]) == ("degraded", "unreachable")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "tools.example.org"},
        {"host": "127.0.0.1.example.org"},
        {"host": "localhost@example.org"},
        {"forwarded": "for=10.0.0.1"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-host": "localhost"},
        {"x-forwarded-proto": "https"},
        {"x-real-ip": "127.0.0.1"},
        {"via": "1.1 proxy"},
        {"cf-connecting-ip": "10.0.0.1"},
        {"true-client-ip": "10.0.0.1"},
    ],
    ids=lambda headers: ":".join(*headers.items()),
)
async def test_health_reveals_nothing_to_whoever_may_come_from_elsewhere(
    gateway: RunningGateway, headers: dict[str, str]
) -> None:
    async with gateway.http(None) as http:
        await gateway.caught_up()
        told = (await http.get("/health", headers=headers)).json()

    assert told == {"status": "ok"}


async def test_a_request_that_does_not_arrive_whole_is_given_up(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.endpoint.BODY_TIMEOUT_S", 0.1)
    host = gateway.address.removeprefix("http://")
    name, port = host.split(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    head = f"POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n"
    more = "".join(f"{header}: {value}\r\n" for header, value in JSON_AND_SSE.items())
    writer.write(f"{head}{more}Content-Length: 100\r\n\r\n{{".encode())
    answer = await soon(reader.read())
    writer.close()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive whole within 0.1 s; send it again" in answer
