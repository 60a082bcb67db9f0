"""The gateway as a resource server: whose access tokens it takes, and what it says to others."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.admission import Credential
from gateway.app import Gateway
from gateway.clients import KnownClients
from gateway.oidc import LEEWAY_S, Accepted, ProviderTokens, oidc_admission
from gateway.provider import Provider
from mcpbox.domain.errors import Unauthenticated
from mcpbox.settings import Settings
from tests.service.gateway.guest_twins import InMemoryGuests
from tests.service.gateway.provider_twin import (
    AUDIENCE,
    Clock,
    LocalProvider,
    a_key,
    public_jwk,
)
from tests.service.gateway.raw import JSON_AND_SSE, LIST, call_of, initialized
from tests.service.gateway.running import RunningGateway, running
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World

OWNERS = ("ana@example.org=ana", "@team.example.org=ben", "sub:nightly-job=ben")


@pytest.fixture
def guests(world: World) -> InMemoryGuests:
    return InMemoryGuests(world)


@pytest.fixture
async def gateway(
    world: World, guests: InMemoryGuests, provider: LocalProvider
) -> AsyncGenerator[RunningGateway]:
    settings = Settings(oidc_issuer=provider.issuer, oidc_audience=AUDIENCE, identities=OWNERS)
    world.authenticate = guests.admit
    parts = parts_of(world, public_hosts=("tools.example.org",), admission=oidc_admission(settings))
    async with running(Gateway(parts)) as gateway:
        yield gateway


async def asked(gateway: RunningGateway, token: str, path: str = "/mcp") -> tuple[int, str, str]:
    """Status, code of the error, and challenge."""
    async with gateway.http(token) as http:
        answer = await http.post(path, json=LIST, headers=JSON_AND_SSE)
    if answer.status_code in {200, 400}:  # the protocol's word: it was let in
        return 200, "", ""
    body = answer.json()
    return answer.status_code, body["error"], answer.headers.get("www-authenticate", "")


def unsigned(provider: LocalProvider) -> str:
    _, payload, _ = provider.token().split(".")
    header = json.dumps({"alg": "none", "typ": "at+jwt", "kid": "first"}).encode()
    return f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{payload}."


def signed_with_the_public_key(provider: LocalProvider) -> str:
    """What a library accepts that lets the token choose how it is verified."""
    pem = provider.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _, payload, _ = provider.token().split(".")
    header = json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "first"}).encode()
    signed = f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{payload}"
    signature = hmac.digest(pem, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_a_token_of_the_provider_lets_its_person_in_under_a_client_of_theirs(
    gateway: RunningGateway, provider: LocalProvider, guests: InMemoryGuests, era: str
) -> None:
    async with gateway.client(era, provider.token()) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}

    assert "mcpbox_create_tool" in names
    [made] = guests.made
    assert (made.owner, made.name[:4]) == ("ana", "ana-")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example.org/mcp"},
        {"aud": None},
        {"iss": "https://evil.example.org"},
        {"iss": None},
        {"exp": time.time() - 3600},
        {"exp": None},
        {"nbf": time.time() + 3600},
        {"sub": None},
        {"headers": {"typ": "logout+jwt"}},
        {"key": a_key()},
        {"key_id": "unknown"},
    ],
    ids=lambda claims: "-".join(claims),
)
async def test_what_is_not_for_us_now_is_challenged(
    gateway: RunningGateway, provider: LocalProvider, claims: dict[str, Any]
) -> None:
    assert (await asked(gateway, provider.token()))[0] == 200

    status, code, challenge = await asked(gateway, provider.token(**claims), "/s/calc/mcp")

    assert (status, code) == (401, "invalid_token")
    assert challenge == (
        'Bearer realm="mcpbox", error="invalid_token", scope="mcpbox:author mcpbox:call", '
        'resource_metadata="https://tools.example.org'
        '/.well-known/oauth-protected-resource/s/calc/mcp"'
    )


async def test_a_token_that_chooses_a_weaker_proof_is_refused(
    gateway: RunningGateway, provider: LocalProvider
) -> None:
    """Source: RFC 8725 sections 2.1 and 3.1."""
    deep = base64.urlsafe_b64encode(b"[" * 12_000).decode().rstrip("=")
    for token in (
        unsigned(provider),
        signed_with_the_public_key(provider),
        f"{deep}.e30.e30",
        "not-a-token",
        "a" * 20_000,
    ):
        assert (await asked(gateway, token))[:2] == (401, "invalid_token")


async def test_a_token_in_the_address_is_no_token(
    gateway: RunningGateway, provider: LocalProvider
) -> None:
    token = provider.token()
    async with gateway.http(None) as http:
        answer = await http.post(f"/mcp?access_token={token}", json=LIST, headers=JSON_AND_SSE)

    assert answer.status_code == 401


async def test_a_token_for_one_view_opens_no_other(
    gateway: RunningGateway, provider: LocalProvider
) -> None:
    token = provider.token(aud=["https://tools.example.org/s/calc/mcp"])

    assert (await asked(gateway, token, "/s/calc/mcp"))[0] == 200
    assert (await asked(gateway, token, "/mcp"))[0] == 401
    assert (await asked(gateway, token, "/s/other/mcp"))[0] == 401


@pytest.mark.parametrize(
    ("claims", "owner"),
    [
        ({"email": "Ana@Example.org"}, "ana"),
        ({"email": "eve@team.example.org"}, "ben"),
        ({"sub": "nightly-job", "email": None}, "ben"),
        ({"email_verified": False}, None),
        ({"email_verified": "true"}, None),
        ({"email": "eve@example.org"}, None),
        ({"email": None, "azp": "nightly-job", "client_id": "nightly-job"}, None),
    ],
)
async def test_who_may_come_is_the_operators_list_alone(
    gateway: RunningGateway,
    provider: LocalProvider,
    guests: InMemoryGuests,
    claims: dict[str, Any],
    owner: str | None,
) -> None:
    """ADR 0035: a verified address or a subject, and never the client that a token came through."""
    status, code, challenge = await asked(gateway, provider.token(**claims))

    if owner is None:
        assert (status, code, challenge) == (403, "forbidden", "")
    assert [made.owner for made in guests.made] == ([owner] if owner else [])


async def test_a_token_is_worth_the_scopes_that_it_names(
    gateway: RunningGateway, provider: LocalProvider
) -> None:
    async with gateway.client("2026-07-28", provider.token(scope="mcpbox:call")) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    status, code, challenge = await asked(gateway, provider.token(scope="openid email"))

    assert names == {"mcpbox_search_tools"}
    assert (status, code) == (403, "insufficient_scope")
    assert 'scope="mcpbox:author mcpbox:call"' in challenge


async def test_the_session_of_another_person_does_not_exist(
    gateway: RunningGateway, provider: LocalProvider
) -> None:
    token, other = provider.token(), provider.token(sub="user-2")
    async with gateway.http(token) as mine, gateway.http(other) as theirs:
        session = {**JSON_AND_SSE, "mcp-session-id": await initialized(mine)}
        renewed = provider.token(exp=time.time() + 600)
        answers = [
            await mine.post("/mcp", json=LIST, headers=session),
            await theirs.post("/mcp", json=LIST, headers=session),
            await theirs.delete("/mcp", headers=session),
            await mine.post(
                "/mcp", json=LIST, headers={**session, "authorization": f"Bearer {renewed}"}
            ),
        ]

    assert [answer.status_code for answer in answers] == [200, 404, 404, 200]


async def test_in_the_newer_era_a_session_id_says_nothing(
    gateway: RunningGateway, provider: LocalProvider
) -> None:
    async with gateway.http(provider.token()) as mine:
        session_id = await initialized(mine)
    caller = provider.token(sub="user-2", scope="mcpbox:call")
    async with gateway.http(caller) as theirs:
        headers, body = await call_of(theirs, "2026-07-28", "mcpbox_list_servers", {"page": 1})
        answer = await theirs.post(
            "/mcp", json=body, headers={**headers, "mcp-session-id": session_id}
        )

    assert "lacks the scope 'author'" in answer.json()["result"]["content"][0]["text"]


async def test_a_revoked_client_is_out_whatever_the_provider_says(
    gateway: RunningGateway, provider: LocalProvider, guests: InMemoryGuests
) -> None:
    token = provider.token()
    assert (await asked(gateway, token))[0] == 200

    guests.revoke(guests.made[0].name)

    assert (await asked(gateway, token))[:2] == (403, "forbidden")


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
async def test_keys_rotate_without_a_restart(
    gateway: RunningGateway,
    provider: LocalProvider,
    algorithm: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.provider.AGAIN_S", 0.0)
    before = provider.token()
    assert (await asked(gateway, before))[0] == 200
    newer = a_key(algorithm)
    provider.published = [public_jwk(newer, "second")]

    after = await asked(gateway, provider.token(key=newer, key_id="second", algorithm=algorithm))

    assert after[0] == 200
    assert (await asked(gateway, before))[0] == 401  # its key is gone with the new ones


async def test_each_view_says_where_to_sign_in(
    gateway: RunningGateway, provider: LocalProvider
) -> None:
    """Source: RFC 9728 section 3.1: the path of the resource stands behind the well-known one."""
    async with gateway.http(None) as http:
        for path in ("/mcp", "/search/mcp", "/s/calc/mcp"):
            answer = await http.get(f"/.well-known/oauth-protected-resource{path}")

            assert answer.json() == {
                "resource": f"https://tools.example.org{path}",
                "authorization_servers": [provider.issuer],
                "scopes_supported": ["mcpbox:author", "mcpbox:call"],
                "bearer_methods_supported": ["header"],
                "resource_name": "MCPbox",
            }


async def test_what_was_verified_once_ends_with_its_token(
    provider: LocalProvider, world: World
) -> None:
    clock = Clock()
    clock.now = time.time()
    settings = Settings(oidc_issuer=provider.issuer, oidc_audience=AUDIENCE, identities=OWNERS)
    clients = KnownClients(InMemoryGuests(world).admit, world.record_seen, lambda: None)
    tokens = ProviderTokens(clients, Provider(provider.issuer), Accepted.by(settings), clock=clock)
    shown = Credential(provider.token(exp=clock.now + 300), AUDIENCE)
    await tokens.admit(shown)

    clock.now += 300 + LEEWAY_S - 1
    await tokens.admit(shown)

    clock.now += 1
    with pytest.raises(Unauthenticated):
        await tokens.admit(shown)
