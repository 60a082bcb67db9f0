"""Arguments made from a schema."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcpbox.domain.extraction import read_source
from mcpbox.domain.inputs import inputs_from

CODE = (
    "async def main(city: str, days: int = 3, tags: list[str] = [], unit: Literal['C', 'F'] = 'C',"
    " near: dict[str, float] | None = None): pass\n"
)


def test_what_is_required_everything_and_the_edges_are_tried() -> None:
    made = inputs_from(read_source(CODE).input_schema)

    assert made == [
        {"city": "example"},
        {"city": "example", "days": 3, "tags": ["example"], "unit": "C", "near": None},
        {"city": "", "days": 0, "tags": [], "unit": "F", "near": None},
    ]


def test_every_one_of_them_fits_its_schema() -> None:
    schema = read_source(CODE).input_schema

    for arguments in inputs_from(schema):
        Draft202012Validator(schema).validate(arguments)


def test_a_tool_without_parameters_is_tried_once() -> None:
    assert inputs_from({"type": "object", "properties": {}}) == [{}]


keys = st.sampled_from(["type", "properties", "required", "items", "anyOf", "enum", "minimum", "a"])
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["object", "array"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, values))
def test_no_schema_whatever_breaks_it(schema: dict[str, Any]) -> None:
    assert 1 <= len(inputs_from(schema)) <= 3
