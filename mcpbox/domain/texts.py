"""Text that every store and every wire of ours can carry: no NUL, no half of a surrogate pair."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr

_STAND_IN = "\N{REPLACEMENT CHARACTER}"


def can_be_kept(text: str) -> bool:
    """Postgres keeps no NUL; half of a surrogate pair has no UTF-8."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def made_keepable(text: str) -> str:
    """For text that has to be kept whatever it holds: what cannot be is replaced."""
    return text.encode("utf-8", "replace").decode().replace("\x00", _STAND_IN)


def _required_to_fit(text: str) -> str:
    if not can_be_kept(text):
        raise ValueError("contains a NUL character or half of a surrogate pair; remove it")
    return text


def _secret_to_fit(secret: SecretStr) -> SecretStr:
    _required_to_fit(secret.get_secret_value())
    return secret


Text = Annotated[str, AfterValidator(_required_to_fit)]
"""Of a sender who can be told to change it."""
SecretText = Annotated[SecretStr, AfterValidator(_secret_to_fit)]
