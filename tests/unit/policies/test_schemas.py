"""Schemas that strangers wrote: used, or refused in words, and never a crash."""

from typing import Any

import pytest

from mcpbox.domain.errors import Invalid
from mcpbox.policies.schemas import SCHEMA_MAX_CHARS, require_schema


def takes(q: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"q": q}}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "array"}, "must describe an object"),
        (takes({"type": "word"}), "not a JSON Schema"),
        (takes({"pattern": "("}), "not a JSON Schema"),
        (takes({"pattern": "(" * 5000 + ")" * 5000}), "nested or repeated too much"),
        (takes({"pattern": "a{99999999999}"}), "nested or repeated too much"),
        (takes({"description": "x" * SCHEMA_MAX_CHARS}), "longer than"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(schema: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        require_schema(schema)


def test_an_ordinary_schema_is_taken() -> None:
    require_schema(takes({"type": "string", "pattern": "^[a-z]+$", "format": "email"}))
