"""JSON Schema as Markdown: types in words, fields as tables, sentences on lines of their own."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z`])")
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "{} characters or more",
    "maxLength": "at most {} characters",
    "pattern": "like `{}`",
}
_WRITTEN = {"uuid": "UUID", "date-time": "time, ISO 8601"}


def prose(docstring: str) -> str:
    """One sentence per line; paragraphs stay apart."""
    paragraphs = docstring.replace("``", "`").split("\n\n")
    return "\n\n".join(_SENTENCE_END.sub("\n", " ".join(part.split())) for part in paragraphs)


def fields(schema: Schema) -> str:
    """A table of an object's properties, in the order in which they are declared."""
    required = schema.get("required", ())
    return table(
        ("Field", "Type", "Default", "Meaning"),
        [
            (
                f"`{name}`",
                type_of(field),
                default_of(field, required=name in required),
                about(field),
            )
            for name, field in schema["properties"].items()
        ],
    )


def structures(schemas: Mapping[str, Schema]) -> Iterator[str]:
    """A section for each named schema that others refer to, by name."""
    for name, schema in sorted(schemas.items()):
        yield f"### {name}"
        if "properties" in schema:
            yield fields(schema)
        else:
            yield f"One of {_choice(schema['enum'])}."


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def type_of(schema: Schema) -> str:
    parts = [_kind_of(schema), *_bounds_of(schema)]
    return ", ".join(parts)


def default_of(schema: Schema, *, required: bool) -> str:
    if required:
        return "required"
    # None and "nothing" are told apart by the type, which names null where it may be given.
    default = schema.get("default")
    return "" if default in (None, "", [], {}) else f"`{str(default).lower()}`"


def about(schema: Schema) -> str:
    return " ".join(schema.get("description", "").replace("``", "`").split())


def named(schema: Schema) -> str:
    return f"[{(name := schema['$ref'].rpartition('/')[2])}](#{name.lower()})"


def _kind_of(schema: Schema) -> str:
    if "$ref" in schema:
        return named(schema)
    if "enum" in schema:
        return _choice(schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        return " or ".join(type_of(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema['items'])}" if schema.get("items") else "list"
    kinds = schema.get("type", "anything")
    written = kinds if isinstance(kinds, str) else " or ".join(kinds)
    return _WRITTEN.get(schema.get("format", ""), written)


def _bounds_of(schema: Schema) -> Iterator[str]:
    for key, words in _BOUNDS.items():
        if key in schema:
            yield words.format(schema[key])


def _choice(values: list[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
