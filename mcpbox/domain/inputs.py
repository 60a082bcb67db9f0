"""Arguments made from an input schema, to see what code does with what its author did not choose.

Always the same for the same schema; few, small and plain: they try edges, they do not attack.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

_MAX_DEPTH = 4
_MAX_PROPERTIES = 20
_MAX_CHARS = 100
_NOTHING: Any = object()


def inputs_from(schema: Mapping[str, Any], limit: int = 3) -> list[dict[str, Any]]:
    """At most ``limit``, no two alike: only what is required, everything, and the edges."""
    made: list[dict[str, Any]] = []
    for arguments in _candidates(dict(schema)):
        if arguments not in made:
            made.append(arguments)
        if len(made) == limit:
            break
    return made


def _candidates(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield _object(schema, edge=False, optional=False, depth=0)
    yield _object(schema, edge=False, optional=True, depth=0)
    yield _object(schema, edge=True, optional=True, depth=0)


def _object(schema: dict[str, Any], *, edge: bool, optional: bool, depth: int) -> dict[str, Any]:
    properties = _dict(schema.get("properties"))
    required = schema.get("required")
    names = cast("list[Any]", required) if isinstance(required, list) else []
    return {
        name: _value(_dict(inner), edge=edge, depth=depth + 1)
        for name, inner in list(properties.items())[:_MAX_PROPERTIES]
        if optional or name in names
    }


def _value(schema: dict[str, Any], *, edge: bool, depth: int) -> Any:
    given = _given(schema, edge=edge)
    if given is not _NOTHING:
        return given
    choice = _picked(schema.get("anyOf") or schema.get("oneOf"), edge=edge)
    if choice is not None:
        return _value(_dict(choice), edge=edge, depth=depth)
    kind = schema.get("type")
    match _picked(kind, edge=edge) or kind:
        case "integer" | "number":
            return _number(schema, edge=edge)
        case "boolean":
            return not edge
        case "null":
            return None
        case "array":
            if edge or depth > _MAX_DEPTH:
                return []
            return [_value(_dict(schema.get("items")), edge=edge, depth=depth + 1)]
        case "object":
            if depth > _MAX_DEPTH:
                return {}
            return _object(schema, edge=edge, optional=True, depth=depth)
        case _:
            return _text(schema, edge=edge)


def _picked(choices: object, *, edge: bool) -> Any:
    """``None``: there is nothing to choose from."""
    if not isinstance(choices, list) or not choices:
        return None
    return cast("list[Any]", choices)[-1 if edge else 0]


def _given(schema: dict[str, Any], *, edge: bool) -> Any:
    if "const" in schema:
        return schema["const"]
    for word in ("enum", "examples"):
        values = schema.get(word)
        if isinstance(values, list) and values:
            return _picked(cast("list[Any]", values), edge=edge)
    return schema["default"] if "default" in schema and not edge else _NOTHING


def _number(schema: dict[str, Any], *, edge: bool) -> int:
    low, high = schema.get("minimum"), schema.get("maximum")
    if edge:
        return int(high) if isinstance(high, int | float) and abs(high) < 2**53 else 0
    return int(low) if isinstance(low, int | float) and abs(low) < 2**53 else 1


def _text(schema: dict[str, Any], *, edge: bool) -> str:
    known = {
        "date": "2026-01-31",
        "date-time": "2026-01-31T12:00:00Z",
        "email": "someone@example.com",
        "uri": "https://example.com/",
        "uuid": "00000000-0000-4000-8000-000000000000",
    }.get(str(schema.get("format")))
    if known:
        return known
    at_least = schema.get("minLength")
    length = min(at_least, _MAX_CHARS) if isinstance(at_least, int) else 0
    text = "" if edge else "example"
    return text.ljust(length, "x")


def _dict(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
