"""Names and descriptions, checked once for every face."""

import re

from mcpbox.domain.errors import Invalid
from mcpbox.domain.tools import NAME_MAX_LENGTH, NAME_PATTERN

DESCRIPTION_MAX_LENGTH = 2000
_RESERVED = "mcpbox"


def checked_name(noun: str, name: str) -> str:
    """Raises: Invalid: malformed, too long, reserved, or ambiguous in ``{server}__{tool}``."""
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > NAME_MAX_LENGTH:
        raise Invalid(
            f"{name[:80]!r} is not a {noun} name: use a small letter first, then small letters, "
            f"digits and '_', at most {NAME_MAX_LENGTH} characters."
        )
    if "__" in name or name.endswith("_"):
        raise Invalid(
            f"{name!r} is not a {noun} name: '__' separates server and tool, so a name neither "
            "holds it nor ends in '_'."
        )
    if noun == "server" and name == _RESERVED:
        raise Invalid(f"{name!r} is reserved for the management tools; choose another name.")
    return name


def checked_description(description: str) -> str:
    """Raises: Invalid: too long."""
    if len(description) > DESCRIPTION_MAX_LENGTH:
        raise Invalid(
            f"The description has {len(description)} characters; at most "
            f"{DESCRIPTION_MAX_LENGTH} are allowed."
        )
    return description
