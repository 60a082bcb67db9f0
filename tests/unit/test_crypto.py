import pytest
from pydantic import SecretStr

from mcpbox.crypto import (
    SigningKey,
    derive,
    hash_password,
    new_token,
    password_matches,
    signature_holds,
    token_hash,
)

KEY = SecretStr("ab" * 32)


def test_a_password_matches_its_hash_and_nothing_else() -> None:
    """ADR 0011."""
    hashed = hash_password(SecretStr("correct horse"))

    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert password_matches(SecretStr("correct horse"), hashed)
    assert not password_matches(SecretStr("correct horsf"), hashed)


def test_the_same_password_is_never_hashed_to_the_same_text() -> None:
    assert hash_password(SecretStr("x")) != hash_password(SecretStr("x"))


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = {derive(KEY, purpose) for purpose in ("panel", "receipts", "")}

    assert len(keys) == 3
    assert all(len(bytes.fromhex(key)) == 32 for key in keys)
    assert KEY.get_secret_value() not in keys
    assert derive(KEY, "panel") == derive(KEY, "panel")


@pytest.mark.parametrize("other", ["cd" * 32, "ab" * 31 + "ac"])
def test_another_key_derives_other_keys(other: str) -> None:
    assert derive(SecretStr(other), "panel") != derive(KEY, "panel")


def test_a_signature_holds_for_its_key_and_its_text_alone() -> None:
    key, other = SigningKey(KEY, "receipts"), SigningKey(KEY, "something else")
    signature = key.sign(b"approved")

    assert signature_holds(key.public, signature, b"approved")
    assert not signature_holds(key.public, signature, b"Approved")
    assert not signature_holds(key.public, signature[:-1], b"approved")
    assert not signature_holds(other.public, signature, b"approved")


def test_tokens_are_long_random_and_kept_only_as_a_hash() -> None:
    token = new_token("mcpbox")

    assert token.startswith("mcpbox_")
    assert len(token) > 43
    assert token != new_token("mcpbox")
    assert token not in token_hash(token)
    assert len(token_hash(token)) == 64
