"""A certified provider, the SDK's own client, and a gateway of a running instance between them."""

import json
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio

from tests.instances import Installed
from tests.mcp_clients import ERAS
from tests.provider.person import Person, client_of
from tests.provider.running import SignedInElsewhere, ready, signed_in_elsewhere
from tests.reviewing import eventually
from tests.service.gateway.raw import INITIALIZE, JSON_AND_SSE, LIST


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def elsewhere(instance: Installed) -> AsyncGenerator[SignedInElsewhere]:
    with signed_in_elsewhere(instance) as running:
        await ready(running)
        yield running


async def status_of(
    elsewhere: SignedInElsewhere, token: str, session_id: str | None = None
) -> httpx.Response:
    headers = {**JSON_AND_SSE, "authorization": f"Bearer {token}"}
    if session_id is not None:
        headers["mcp-session-id"] = session_id
    async with httpx.AsyncClient() as http:
        body = INITIALIZE if session_id is None else LIST
        return await http.post(elsewhere.gateway_url, json=body, headers=headers)


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_knows_the_address_alone_finds_where_its_person_signs_in(
    elsewhere: SignedInElsewhere, era: str
) -> None:
    """Authorization code with PKCE, after discovery and registration."""
    ana = Person("ana")
    async with client_of(ana, elsewhere.gateway_url, era) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}

    assert "mcpbox_create_tool" in names
    assert ana.asked_for["resource"] == [elsewhere.gateway_url]
    assert ana.asked_for["code_challenge_method"] == ["S256"]
    assert {"mcpbox:author", "mcpbox:call"} <= set(ana.asked_for["scope"][0].split())


async def test_whoever_the_provider_knows_and_the_operator_does_not_stays_out(
    elsewhere: SignedInElsewhere,
) -> None:
    eve = Person("eve")
    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        async with client_of(eve, elsewhere.gateway_url, "legacy"):
            pass
    assert eve.storage.tokens is not None

    answer = await status_of(elsewhere, eve.storage.tokens.access_token)

    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


async def test_a_program_signs_in_with_credentials_of_its_own_until_it_is_revoked(
    instance: Installed, elsewhere: SignedInElsewhere
) -> None:
    token = await elsewhere.token_of_program("mcpbox:call")
    for_another = await elsewhere.token_of_program("mcpbox:call", "https://other.example.org/mcp")
    without = await elsewhere.token_of_program("")
    let_in = await status_of(elsewhere, token)

    assert let_in.status_code == 200, let_in.text
    assert (await status_of(elsewhere, for_another)).status_code == 401
    assert (await status_of(elsewhere, without)).json()["error"] == "insufficient_scope"

    name = newest_guest(instance)
    assert instance.command("clients", "revoke", name).returncode == 0

    async def is_out() -> bool:
        return (await status_of(elsewhere, token)).status_code == 403

    await eventually(is_out)


def newest_guest(instance: Installed) -> str:
    listed = instance.command("clients", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    guests = [client for client in found if client["name"].startswith("admin-")]
    return max(guests, key=lambda client: client["created_at"])["name"]
