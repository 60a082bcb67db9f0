"""What a hostile schema does to whoever checks arguments against it: nothing that lasts.

Without their bounds, each of these runs for hours.
"""

from typing import Any

import pytest

from gateway import arguments
from gateway.arguments import TooMuch, Unusable, compiled, problems_in

SLOW = "^(a+)+$"
LONG = "a" * 60 + "!"


def takes(q: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"q": q}, **more}


def said(schema: dict[str, Any], **given: Any) -> list[str]:
    validator = compiled(schema)
    assert validator is not None
    return problems_in(given, validator)


def doubling(word: str = "anyOf") -> dict[str, Any]:
    """Forty definitions, each of which asks the next one twice."""
    parts: dict[str, Any] = {
        f"d{number}": {word: [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(40)
    }
    return parts | {"d40": {"type": "integer"}}


@pytest.mark.parametrize(
    "schema",
    [
        takes({"type": "string", "pattern": SLOW}),
        takes({"$schema": "http://json-schema.org/draft-07/schema#", "pattern": SLOW}),
        takes({"$ref": "#/default"}, default={"pattern": SLOW}),
        {"type": "object", "patternProperties": {SLOW: False}, "additionalProperties": False},
        {"type": "object", "patternProperties": {SLOW: {}}, "unevaluatedProperties": False},
        {"type": "object", "propertyNames": {"pattern": SLOW}},
    ],
)
def test_no_regular_expression_of_a_schema_is_run(schema: dict[str, Any]) -> None:
    assert said(schema, q=LONG, **{LONG: 1}) == []


@pytest.mark.parametrize(
    ("schema", "given"),
    [
        (takes({"$ref": "#/$defs/d0"}, **{"$defs": doubling()}), "x"),
        (takes({"not": {"$ref": "#/$defs/d0"}}, **{"$defs": doubling("oneOf")}), "x"),
        (takes({"items": {"anyOf": [False] * 999 + [True]}}), [["x" * 50]] * 20_000),
        (takes({"items": {"anyOf": [{"const": n} for n in range(1000)]}}), [999] * 20_000),
    ],
)
def test_checking_ends_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, schema: dict[str, Any], given: object
) -> None:
    monkeypatch.setattr(arguments, "CHECK_S", 0.05)
    with pytest.raises(TooMuch):
        said(schema, q=given)


def test_a_schema_that_leads_to_itself_is_unusable() -> None:
    with pytest.raises(Unusable):
        said({"type": "object", "allOf": [{"$ref": "#"}]}, q=1)


def test_many_things_are_compared_without_each_with_each() -> None:
    schema = takes({"type": "array", "uniqueItems": True})
    rows: list[Any] = [{"id": number} for number in range(50_000)]

    assert said(schema, q=rows) == []
    assert said(schema, q=[*rows, {"id": 7}]) == ["At q: has elements that are not unique."]
    assert said(schema, q=[1, True, "1", {"a": 1, "b": 2}]) == []
    assert said(schema, q=[{"a": 1, "b": 2}, {"b": 2, "a": 1}]) != []


def test_what_is_wrong_is_told_with_its_place_and_not_all_of_it() -> None:
    schema = takes({"type": "array", "items": {"type": "integer", "minimum": 0}})

    assert said(schema | {"required": ["z"]}, q=[1]) == [
        "At arguments: 'z' is a required property."
    ]
    assert said(schema | {"additionalProperties": False}, y=1) != []
    told = said(schema, q=["x"] * 20)
    assert len(told) == 6
    assert (told[0], told[-1]) == ("At q/0: 'x' is not of type 'integer'.", "And more.")
