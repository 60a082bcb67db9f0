"""Text that every store and every wire of ours can carry: no NUL, no half of a surrogate pair."""

import re
from typing import Annotated, Any, cast

from pydantic import AfterValidator, SecretStr

_STAND_IN = "\N{REPLACEMENT CHARACTER}"


# Control, zero-width and bidirectional characters: what a reviewer reads must be what runs.
HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


_LEGIBLE = re.compile(
    f"(?P<picture>[\u2190-\u2bff\U0001f000-\U0001faff]\ufe0f?\u200d?)|{HIDDEN.pattern}"
)


def can_be_kept(text: str) -> bool:
    """Postgres keeps no NUL; half of a surrogate pair has no UTF-8."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def made_keepable(text: str) -> str:
    """For text that has to be kept whatever it holds: what cannot be is replaced."""
    return text.encode("utf-8", "replace").decode().replace("\x00", _STAND_IN)


def reveal(text: str) -> str:
    """Hidden characters spelled out, as in ``⟨U+202E⟩``; tabs and line feeds stay."""
    return HIDDEN.sub(lambda found: _spelled(found[0]), text)


def legible(text: str) -> str:
    """For prose: as :func:`reveal`, but emoji stay whole, and a line ends as it does anywhere."""
    lines = text.replace("\r\n", "\n")
    return _LEGIBLE.sub(lambda found: found[0] if found["picture"] else _spelled(found[0]), lines)


def hidden_in(text: str) -> int:
    return len(HIDDEN.findall(text))


def _spelled(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def _required_to_fit(text: str) -> str:
    if not can_be_kept(text):
        raise ValueError("contains a NUL character or half of a surrogate pair; remove it")
    return text


def _json_to_fit(value: dict[str, Any]) -> dict[str, Any]:
    """Names and values at any depth; a loop, since deep input must not end the recursion."""
    waiting: list[object] = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                _required_to_fit(text)
            case dict() as pairs:
                waiting += [
                    *cast("dict[str, object]", pairs),
                    *cast("dict[str, object]", pairs).values(),
                ]
            case list() as items:
                waiting += cast("list[object]", items)
            case _:
                pass
    return value


def _secret_to_fit(secret: SecretStr) -> SecretStr:
    _required_to_fit(secret.get_secret_value())
    return secret


Text = Annotated[str, AfterValidator(_required_to_fit)]
"""Of a sender who can be told to change it."""
JsonObject = Annotated[dict[str, Any], AfterValidator(_json_to_fit)]
SecretText = Annotated[SecretStr, AfterValidator(_secret_to_fit)]
