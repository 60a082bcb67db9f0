"""Arguments against a schema that somebody else wrote: what is checked, within a bound of time.

A schema of a few lines can make checking take for ever: by references that lead to each other, by
alternatives, or by a regular expression. Nobody's call may hold up all others, so the first two end
when their time is over, and regular expressions are told to clients and not run here.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, cast

import attrs
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.exceptions import ValidationError as JsonProblem
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from mcpbox.domain.nesting import ARGUMENTS_MAX_DEPTH, nests_deeper_than

CHECK_S = 1.0
"""Of the processor, not of the clock: a busy machine refuses nothing that an idle one takes."""
_NOTHING_REMOTE: Registry[Any] = Registry()
"""Given explicitly: the default one would fetch a ``$ref`` over the network."""
_MAX_TOLD = 5
_MESSAGE_MAX_CHARS = 300
_NOT_CHECKED = frozenset(
    {"pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems"}
)
"""They run regular expressions, or follow references by a way of their own."""
_ends: ContextVar[float] = ContextVar("ends")
_Errors = Iterable[JsonProblem] | None


class Unusable(Exception):
    """The schema can check nothing."""


class TooMuch(Exception):
    """There is no time to check all of it."""


def compiled(schema: dict[str, Any]) -> Validator | None:
    """``None`` when it is no schema of an object: a listing of it would fail the whole list."""
    if schema.get("type", "object") != "object":
        return None
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError):
        return None
    return _Bounded(schema, registry=_NOTHING_REMOTE)


def problems_in(arguments: Mapping[str, Any], validator: Validator) -> list[str]:
    """Where and what is wrong, the first few of it. Raises: Unusable; TooMuch."""
    given = dict(arguments)
    if nests_deeper_than(ARGUMENTS_MAX_DEPTH, given):
        return ["Its arguments nest too deeply: be flatter."]
    try:
        with _bounded():
            found = list(islice(validator.iter_errors(given), _MAX_TOLD + 1))
            told = [_explain(problem) for problem in sorted(found[:_MAX_TOLD], key=_place)]
    except (Unresolvable, RecursionError) as error:
        raise Unusable from error
    return [*told, "And more."] if len(found) > _MAX_TOLD else told


@contextmanager
def _bounded() -> Generator[None]:
    token = _ends.set(time.thread_time() + CHECK_S)
    try:
        yield
    finally:
        _ends.reset(token)


def _require_time() -> None:
    """Raises: TooMuch."""
    if time.thread_time() > _ends.get():
        raise TooMuch


def _bounded_class() -> Callable[..., Validator]:
    checks: dict[str, Any] = {
        word: check
        for word, check in Draft202012Validator.VALIDATORS.items()
        if word not in _NOT_CHECKED
    }
    known = checks["additionalProperties"]

    def additional(validator: Any, allowed: Any, instance: Any, schema: Any) -> _Errors:
        # Which ones are additional, a regular expression would say.
        return (
            None if "patternProperties" in schema else known(validator, allowed, instance, schema)
        )

    checks |= {"additionalProperties": additional, "uniqueItems": _unique}
    made: Any = validators.create(
        meta_schema=Draft202012Validator.META_SCHEMA,
        validators=checks,
        type_checker=Draft202012Validator.TYPE_CHECKER,
    )
    iter_errors, descend = made.iter_errors, made.descend

    def iter_in_time(self: Any, *given: Any, **named: Any) -> Iterable[JsonProblem]:
        _require_time()
        return iter_errors(self, *given, **named)

    def descend_in_time(self: Any, *given: Any, **named: Any) -> Iterable[JsonProblem]:
        _require_time()
        return descend(self, *given, **named)

    # The library's own would follow a "$schema" in a part to a class that knows no bounds.
    made.evolve = attrs.evolve
    made.iter_errors, made.descend = iter_in_time, descend_in_time
    return made


def _unique(validator: Any, wanted: Any, instance: Any, _: Any) -> _Errors:
    """By hash: the library's own compares each with each where they cannot be sorted."""
    if wanted is True and validator.is_type(instance, "array"):
        texts = {json.dumps(item, sort_keys=True) for item in instance}
        if len(texts) < len(instance):
            yield JsonProblem("has elements that are not unique")


def _place(problem: JsonProblem) -> str:
    return "/".join(str(part) for part in problem.absolute_path)


def _explain(problem: JsonProblem) -> str:
    """The deepest reason inside ``anyOf`` and its like; values are cut, they can be large."""
    reason = cast("JsonProblem", best_match([problem]) or problem)
    place = _place(reason) or "arguments"
    message = str(reason.message)
    if len(message) > _MESSAGE_MAX_CHARS:
        message = message[:_MESSAGE_MAX_CHARS] + "…"
    return f"At {place}: {message}."


_Bounded = _bounded_class()
