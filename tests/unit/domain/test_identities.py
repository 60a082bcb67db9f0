"""Who may come from elsewhere, and for whom; half of a way in does not start."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from mcpbox.domain.identities import Identity, Owners, plain_email
from mcpbox.domain.people import USERNAME_PATTERN
from mcpbox.settings import Settings

ISSUER = {"oidc_issuer": "https://id.example.org", "oidc_audience": "https://a.example.org/mcp"}
SOMEBODY = {"identities": "ana@example.org=ana"}


def test_an_address_outranks_its_domain() -> None:
    owners = Owners.read(["@example.org=team", "Ana@Example.org=ana", "sub:a=b@c=ben"])

    assert owners.of_email("ana@example.org") == "ana"
    assert owners.of_email("eve@example.org") == "team"
    assert owners.of_email("eve@sub.example.org") is None
    assert owners.of_subject("a=b@c") == "ben"
    assert owners.of_subject("ana@example.org") is None


@pytest.mark.parametrize(
    "entry", ["ana", "ana@example.org", "ana@example.org=", "=ana", "@=ana", "sub:=ana", "a@b=A B"]
)
def test_an_entry_that_says_too_little_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="user name behind"):
        Owners.read([entry])


def test_one_identity_has_one_owner() -> None:
    with pytest.raises(ValueError, match="two users"):
        Owners.read(["ana@example.org=ana", "ANA@example.org=ben"])


@pytest.mark.parametrize(
    "text", ["ana", "a b@c", "ana@exämple.org", f"{'a' * 250}@b.org", "a@b\n@c"]
)
def test_what_cannot_be_compared_is_no_address(text: str) -> None:
    assert plain_email(text) is None


def test_another_owner_issuer_or_subject_is_another_identity() -> None:
    identity = Identity(issuer="a", subject="b", owner="c" * 63)
    others = [identity.model_copy(update={field: "x"}) for field in ("issuer", "subject", "owner")]

    assert len({each.key for each in (identity, *others)}) == 4
    assert re.fullmatch(USERNAME_PATTERN, identity.client_name)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({**ISSUER, "oidc_audience": ""}, "need each other"),
        ({**ISSUER, "oidc_issuer": ""}, "need each other"),
        (ISSUER, "MCPBOX_IDENTITIES must say"),
        ({**ISSUER, "identities": "ana"}, "user name behind"),
        ({**ISSUER, **SOMEBODY, "service_token": "s" * 32}, "exclude each other"),
        ({"service_token": "s" * 32}, "MCPBOX_IDENTITIES must say"),
        ({**SOMEBODY, "service_token": "s" * 31}, "32 characters"),
        ({**ISSUER, **SOMEBODY, "oidc_issuer": "http://id.example.org"}, "https"),
        ({**ISSUER, **SOMEBODY, "oidc_issuer": "https://id.example.org?x"}, "https"),
        ({**ISSUER, **SOMEBODY, "oidc_call_scope": "a b"}, "one scope"),
        ({**SOMEBODY, "gateway_url": "https://a.example.org/mcp"}, "scheme and host"),
    ],
)
def test_half_of_a_way_in_does_not_start(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings(**given)


@pytest.mark.parametrize(
    ("given", "link"),
    [
        ({}, "http://127.0.0.1:8002"),
        ({**ISSUER, **SOMEBODY}, "https://a.example.org"),
        ({**ISSUER, **SOMEBODY, "oidc_audience": "mcpbox"}, "http://127.0.0.1:8002"),
        ({**ISSUER, **SOMEBODY, "gateway_url": "https://b.example.org/"}, "https://b.example.org"),
    ],
)
def test_clients_are_told_the_address_that_they_use(given: dict[str, Any], link: str) -> None:
    assert Settings(**given).gateway_link == link
