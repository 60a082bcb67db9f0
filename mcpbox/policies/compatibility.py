"""Whether callers of one input schema can go on with another, and what each change is."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, cast

from mcpbox.domain.base import DomainModel

_MAX_CHANGES = 100
_SHOWN = 60
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_OTHER = ("pattern", "format", "const", "multipleOf", "uniqueItems", "not", "oneOf", "allOf")
_WORDS_ONLY = ("description", "title", "examples", "$comment", "deprecated")
_ANY_TYPE = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


class Compatibility(StrEnum):
    NONE = "none"
    """Nothing changed."""
    COMPATIBLE = "compatible"
    BREAKING = "breaking"


class SchemaChange(DomainModel):
    path: str
    """``filter.city``, ``tags[]``; empty for the arguments as a whole."""
    rule: str
    title: str
    text: str
    breaking: bool


def compatibility_of(changes: list[SchemaChange]) -> Compatibility:
    if any(change.breaking for change in changes):
        return Compatibility.BREAKING
    return Compatibility.COMPATIBLE if changes else Compatibility.NONE


def schema_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[SchemaChange]:
    """In the order of the schema, outside in; at most a hundred.

    What is not understood and differs counts as breaking: it is not known to be harmless.
    """
    found: list[SchemaChange] = []
    for change in _object(dict(old), dict(new), ""):
        if change not in found:
            found.append(change)
        if len(found) == _MAX_CHANGES:
            break
    return sorted(found, key=lambda change: not change.breaking)


def _object(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[SchemaChange]:
    before, after = _properties(old), _properties(new)
    was_required, required = _required(old), _required(new)
    gone = [name for name in before if name not in after]
    added = [name for name in after if name not in before]
    for name in gone:
        renamed = next((n for n in added if _is_same(before[name], after[n])), None)
        if renamed is None:
            yield _change(path, name, "removed", "Removed", f"The argument {name!r} is gone.")
            continue
        added.remove(renamed)
        yield _change(
            path, name, "renamed", "Renamed", f"The argument {name!r} is called {renamed!r} now."
        )
    for name in added:
        if name in required:
            text = f"{name!r} is new and must be given."
            yield _change(path, name, "required", "Required", text)
        else:
            text = f"The optional argument {name!r} is new."
            yield _change(path, name, "added", "Added", text, breaking=False)
    for name in before.keys() & after.keys():
        inner = f"{path}.{name}" if path else name
        if name in required and name not in was_required:
            yield _change(path, name, "required", "Required", f"{name!r} must now be given.")
        elif name in was_required and name not in required:
            text = f"{name!r} need not be given any more."
            yield _change(path, name, "optional", "Optional", text, breaking=False)
        yield from _value(before[name], after[name], inner)
    yield from _additional(old, new, path)


def _additional(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[SchemaChange]:
    before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
    place = path or "the arguments"
    if before is not False and after is False:
        text = f"Other names than those listed are refused in {place}."
        yield _change(path, "", "closed", "Refuses more", text)
    elif before is False and after is not False:
        text = f"Other names than those listed are taken in {place}."
        yield _change(path, "", "opened", "Takes more", text, breaking=False)
    elif isinstance(before, dict) and isinstance(after, dict):
        inner = f"{path}.*" if path else "*"
        yield from _value(cast("dict[str, Any]", before), cast("dict[str, Any]", after), inner)


def _value(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[SchemaChange]:
    was, now = _types(old), _types(new)
    lost, won = was - now, now - was
    if "number" in now:
        lost = lost - {"integer"}
    if "number" in was:
        won = won - {"integer"}
    if lost:
        text = f"{path!r} took {_listed(was)} and now takes {_listed(now)}."
        yield _change(path, "", "narrowed-type", "Narrowed type", text)
    elif won:
        text = f"{path!r} takes {_listed(won)} as well."
        yield _change(path, "", "widened-type", "Widened type", text, breaking=False)
    yield from _choices(old, new, path)
    yield from _bounds(old, new, path)
    if old.get("default", _NOTHING) != new.get("default", _NOTHING):
        text = f"What {path!r} is when it is left out changed."
        yield _change(path, "", "default", "Default changed", text, breaking=False)
    if any(old.get(word) != new.get(word) for word in _WORDS_ONLY):
        text = f"What is said of {path!r} changed."
        yield _change(path, "", "described", "Described anew", text, breaking=False)
    if "object" in was & now and (_properties(old) or _properties(new)):
        yield from _object(old, new, path)
    before, after = old.get("items", {}), new.get("items", {})
    if isinstance(before, dict) and isinstance(after, dict) and before != after:
        items = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        yield from _value(*items, f"{path}[]")


def _choices(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[SchemaChange]:
    before, after = old.get("enum"), new.get("enum")
    if before == after or not isinstance(after, list | None) or not isinstance(before, list | None):
        return
    if before is None:
        text = f"{path!r} takes certain values only: {_shown(cast('object', after))}."
        yield _change(path, "", "enum", "Fewer values", text)
    elif after is None:
        text = f"{path!r} is no longer bound to certain values."
        yield _change(path, "", "enum", "More values", text, breaking=False)
    else:
        lost = [value for value in cast("list[Any]", before) if value not in after]
        won = [value for value in cast("list[Any]", after) if value not in before]
        if lost:
            text = f"{path!r} no longer takes {_shown(lost)}."
            yield _change(path, "", "enum", "Fewer values", text)
        if won:
            text = f"{path!r} takes {_shown(won)} as well."
            yield _change(path, "", "enum", "More values", text, breaking=False)


def _bounds(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[SchemaChange]:
    for word in (*_LOWER, *_UPPER, *_OTHER):
        before, after = old.get(word), new.get(word)
        if before == after:
            continue
        looser = after is None
        if isinstance(before, int | float) and isinstance(after, int | float) and not looser:
            looser = after < before if word in _LOWER else word in _UPPER and after > before
        title = "Looser limit" if looser else "Tighter limit"
        text = f"{path!r}: {word} was {_shown(before)} and is {_shown(after)}."
        yield _change(path, "", "limit", title, text, breaking=not looser)


_NOTHING = object()


def _properties(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    given = schema.get("properties")
    if not isinstance(given, dict):
        return {}
    named = cast("dict[str, Any]", given)
    return {
        name: cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        for name, value in named.items()
    }


def _required(schema: dict[str, Any]) -> frozenset[str]:
    given = schema.get("required")
    return (
        frozenset(map(str, cast("list[object]", given))) if isinstance(given, list) else frozenset()
    )


def _types(schema: dict[str, Any]) -> frozenset[str]:
    given = schema.get("type")
    if isinstance(given, str):
        return frozenset({given})
    if isinstance(given, list):
        return frozenset(map(str, cast("list[object]", given)))
    choices = schema.get("anyOf")
    if isinstance(choices, list):
        inner = [c for c in cast("list[Any]", choices) if isinstance(c, dict)]
        return frozenset().union(*(_types(cast("dict[str, Any]", choice)) for choice in inner))
    return _ANY_TYPE


def _is_same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Empty schemas fit every other, which says nothing about a name."""
    words = set(_WORDS_ONLY)
    before = {key: value for key, value in old.items() if key not in words}
    return bool(before) and before == {k: v for k, v in new.items() if k not in words}


def _listed(types: frozenset[str]) -> str:
    return "anything" if types == _ANY_TYPE else " or ".join(sorted(types))


def _shown(value: object) -> str:
    """Never a default: an author may have put anything there."""
    if isinstance(value, list):
        items = cast("list[object]", value)
        text = ", ".join(repr(item) for item in items[:5]) + (", …" if len(items) > 5 else "")
    else:
        text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _change(
    path: str, name: str, rule: str, title: str, text: str, *, breaking: bool = True
) -> SchemaChange:
    place = ".".join(part for part in (path, name) if part)
    return SchemaChange(path=place, rule=rule, title=title, text=text, breaking=breaking)
