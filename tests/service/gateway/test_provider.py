"""The keys of a provider: when they are fetched, how long they hold, and which are taken."""

from typing import Any

import pytest

from gateway.provider import AGAIN_S, TRUST_S, Provider
from mcpbox.domain.errors import Unauthenticated, Unavailable
from tests.service.gateway.provider_twin import Clock, LocalProvider, a_key, public_jwk


async def test_made_up_keys_do_not_make_the_gateway_visit_the_provider(
    provider: LocalProvider,
) -> None:
    clock = Clock()
    keys = Provider(provider.issuer, clock=clock)
    await keys.key("first", "ES256")

    for number in range(10):
        with pytest.raises(Unauthenticated):
            await keys.key(f"made-up-{number}", "ES256")
    assert provider.visits == 1

    clock.now += AGAIN_S + 1
    with pytest.raises(Unauthenticated):
        await keys.key("made-up", "ES256")
    assert provider.visits == 2


async def test_keys_hold_for_a_while_when_the_provider_is_away_and_no_longer(
    provider: LocalProvider,
) -> None:
    clock = Clock()
    keys = Provider(provider.issuer, clock=clock)
    await keys.key("first", "ES256")
    provider.away = True

    clock.now += TRUST_S - 1
    await keys.key("first", "ES256")

    clock.now += 2
    with pytest.raises(Unavailable):
        await keys.key("first", "ES256")


UNUSABLE: list[tuple[dict[str, Any], list[Any] | None]] = [
    ({"issuer": "https://other.example.org"}, None),
    ({"jwks_uri": "http://keys.example.org/"}, None),
    ({"jwks_uri": "file:///etc/passwd"}, None),
    ({}, [{"kty": "oct", "k": "c2VjcmV0", "kid": "first", "alg": "HS256"}]),
    ({}, [public_jwk(a_key("RS256", bits=1024), "first")]),
    ({}, [{**public_jwk(a_key(), "first"), "use": "enc"}]),
    ({}, ["nothing", {"kty": "EC"}, {"kid": []}]),
]


@pytest.mark.parametrize(("changes", "published"), UNUSABLE)
async def test_keys_that_prove_nothing_are_not_taken(
    provider: LocalProvider, changes: dict[str, Any], published: list[Any] | None
) -> None:
    provider.discovery |= changes
    provider.published = provider.published if published is None else published
    keys = Provider(provider.issuer)

    for algorithm in ("ES256", "RS256", "HS256"):
        with pytest.raises(Unavailable):
            await keys.key("first", algorithm)
