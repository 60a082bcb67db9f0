"""Whether an input schema can be used, whoever wrote it."""

import json
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from mcpbox.domain.errors import Invalid
from mcpbox.domain.nesting import SCHEMA_MAX_DEPTH, nests_deeper_than

SCHEMA_MAX_CHARS = 64 * 1024
"""As JSON: to read a larger one takes seconds, and no model wants to."""
_MESSAGE_MAX_CHARS = 300
_KNOWN_MAX = 1000


def require_schema(schema: dict[str, Any]) -> None:
    """Raises: Invalid."""
    if schema.get("type") != "object":
        raise Invalid(
            'input_schema must describe an object: give it "type": "object" and "properties", '
            "or leave it out and it is read from the signature of main."
        )
    if nests_deeper_than(SCHEMA_MAX_DEPTH, schema):
        raise Invalid("input_schema is nested too deeply; make it flatter.")
    text = json.dumps(schema)
    if len(text) > SCHEMA_MAX_CHARS:
        raise Invalid(f"input_schema is longer than {SCHEMA_MAX_CHARS} characters of JSON.")
    if problem := _problem_of(text):
        raise Invalid(problem)


@lru_cache(maxsize=_KNOWN_MAX)
def _problem_of(text: str) -> str:
    """Empty where there is none; remembered, for what a source offers is read again and again."""
    try:
        # With formats, so that a pattern which is no regular expression is found here.
        Draft202012Validator.check_schema(
            json.loads(text), format_checker=Draft202012Validator.FORMAT_CHECKER
        )
    except SchemaError as error:
        place = "/".join(str(part) for part in error.path) or "its top level"
        message = error.message[:_MESSAGE_MAX_CHARS]
        return f"input_schema is not a JSON Schema: at {place}: {message}"
    except (RecursionError, OverflowError):
        return "input_schema holds a regular expression that is nested or repeated too much."
    return ""
