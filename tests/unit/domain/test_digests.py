"""The digest covers all that runs and all that a model reads, and nothing else."""

from typing import Any

import pytest

from mcpbox.domain.digests import digest_of
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.tools import Annotations
from tests.factories import a_version, some_content


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"description": "Counts more."},
        {"code": "async def main(a: int) -> int:\n    return a + 1\n"},
        {"input_schema": {"type": "object"}},
        {"annotations": Annotations(read_only=True)},
        {"manifest": Manifest(hosts=("api.example.com",))},
    ],
)
def test_changing_any_part_changes_the_digest(change: dict[str, Any]) -> None:
    assert digest_of(some_content(**change)) != digest_of(some_content())


def test_who_wrote_it_when_and_under_which_number_is_not_covered() -> None:
    assert digest_of(a_version()) == digest_of(some_content())


def test_the_order_of_keys_does_not_matter() -> None:
    one = some_content(input_schema={"type": "object", "required": ["a"]})
    other = some_content(input_schema={"required": ["a"], "type": "object"})

    assert digest_of(one) == digest_of(other)


def test_the_digest_of_today_is_the_digest_of_tomorrow() -> None:
    """Approvals are bound to it for ever: another value here breaks every release."""
    assert digest_of(some_content()) == (
        "sha256:1539c10eda2f62dc6e86c8a90de78cac9ecc112da45c56b7374afcab390378af"
    )
