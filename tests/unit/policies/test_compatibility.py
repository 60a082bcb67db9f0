"""What a new schema means for callers of the old one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbox.policies.compatibility import Compatibility, compatibility_of, schema_changes

BREAKING, COMPATIBLE, NONE = Compatibility.BREAKING, Compatibility.COMPATIBLE, Compatibility.NONE
TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def takes(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


@pytest.mark.parametrize(
    ("old", "new", "verdict", "rules"),
    [
        (takes(a=TEXT), takes(a=TEXT), NONE, []),
        (takes(a=TEXT), takes(), BREAKING, ["removed"]),
        (takes(a=TEXT), takes(b=TEXT), BREAKING, ["renamed"]),
        (takes(a=TEXT), takes(b=WHOLE), BREAKING, ["removed", "added"]),
        (takes(), takes(a=TEXT), COMPATIBLE, ["added"]),
        (takes(), takes("a", a=TEXT), BREAKING, ["required"]),
        (takes(a=TEXT), takes("a", a=TEXT), BREAKING, ["required"]),
        (takes("a", a=TEXT), takes(a=TEXT), COMPATIBLE, ["optional"]),
        (takes(a=TEXT), takes(a=WHOLE), BREAKING, ["narrowed-type"]),
        (takes(a=NUMBER), takes(a=WHOLE), BREAKING, ["narrowed-type"]),
        (takes(a=WHOLE), takes(a=NUMBER), COMPATIBLE, ["widened-type"]),
        (takes(a=TEXT), takes(a={"type": ["string", "null"]}), COMPATIBLE, ["widened-type"]),
        (takes(a={"anyOf": [TEXT, {"type": "null"}]}), takes(a=TEXT), BREAKING, ["narrowed-type"]),
        (takes(a=TEXT), takes(a={}), COMPATIBLE, ["widened-type"]),
        (takes(a={}), takes(a=TEXT), BREAKING, ["narrowed-type"]),
        (takes(a={"enum": [1, 2]}), takes(a={"enum": [1]}), BREAKING, ["enum"]),
        (takes(a={"enum": [1]}), takes(a={"enum": [1, 2]}), COMPATIBLE, ["enum"]),
        (takes(a=TEXT), takes(a=TEXT | {"enum": ["x"]}), BREAKING, ["enum"]),
        (takes(a=TEXT | {"enum": ["x"]}), takes(a=TEXT), COMPATIBLE, ["enum"]),
        (takes(a=WHOLE), takes(a=WHOLE | {"minimum": 1}), BREAKING, ["limit"]),
        (takes(a=WHOLE | {"minimum": 2}), takes(a=WHOLE | {"minimum": 1}), COMPATIBLE, ["limit"]),
        (takes(a=TEXT | {"maxLength": 9}), takes(a=TEXT | {"maxLength": 8}), BREAKING, ["limit"]),
        (takes(a=TEXT), takes(a=TEXT | {"pattern": "x"}), BREAKING, ["limit"]),
        (takes(a=TEXT | {"pattern": "x"}), takes(a=TEXT), COMPATIBLE, ["limit"]),
        (takes(a=TEXT), takes(a=TEXT | {"default": "x"}), COMPATIBLE, ["default"]),
        (takes(a=TEXT), takes(a=TEXT | {"description": "x"}), COMPATIBLE, ["described"]),
        (takes(), takes() | {"additionalProperties": False}, BREAKING, ["closed"]),
        (takes() | {"additionalProperties": False}, takes(), COMPATIBLE, ["opened"]),
        (
            takes(a={"type": "array", "items": NUMBER}),
            takes(a={"type": "array", "items": WHOLE}),
            BREAKING,
            ["narrowed-type"],
        ),
        (takes(a=takes(b=TEXT)), takes(a=takes()), BREAKING, ["removed"]),
        (takes(a=takes()), takes(a=takes(b=TEXT)), COMPATIBLE, ["added"]),
    ],
)
def test_every_change_is_named_and_judged(
    old: dict[str, Any], new: dict[str, Any], verdict: Compatibility, rules: list[str]
) -> None:
    changes = schema_changes(old, new)

    assert [change.rule for change in changes] == rules
    assert compatibility_of(changes) is verdict
    assert all(change.text for change in changes)


def test_a_change_further_in_is_named_with_its_path() -> None:
    [change] = schema_changes(takes(a=takes(b=TEXT)), takes(a=takes(b=WHOLE)))

    assert change.path == "a.b"
    assert "string" in change.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "items", "anyOf", "enum", "a"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["type", "properties", "required"]), json_values))
def test_no_schema_whatever_breaks_it_and_none_differs_from_itself(schema: dict[str, Any]) -> None:
    assert schema_changes(schema, schema) == []
    schema_changes(takes(a=TEXT), schema)
    schema_changes(schema, takes(a=TEXT))
