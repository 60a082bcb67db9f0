"""The embedded Temporal is told what the worker would register otherwise."""

from temporalio.common import SearchAttributeIndexedValueType

from cli import temporal
from mcpbox.temporal import SEARCH_ATTRIBUTES


def test_it_knows_every_search_attribute_from_its_first_start_on() -> None:
    assert {key.name for key in SEARCH_ATTRIBUTES} == set(temporal.SEARCH_ATTRIBUTES)
    types = {key.indexed_value_type for key in SEARCH_ATTRIBUTES}
    assert types == {SearchAttributeIndexedValueType.KEYWORD}
