"""Reference pages that are made from the code are the code's."""

import re

import pytest

from docs.generate import MADE_BY, PAGES, REFERENCE
from gateway.tools import TOOLS


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_says_now(name: str) -> None:
    committed = (REFERENCE / name).read_text()

    assert committed == PAGES[name](), "The page is out of date: run `make docs`."


def test_pages_written_by_hand_do_not_claim_to_be_generated() -> None:
    claiming = {page.name for page in REFERENCE.glob("*.md") if MADE_BY in page.read_text()}

    assert claiming == set(PAGES)


def test_every_management_tool_has_its_section() -> None:
    page = (REFERENCE / "mcp-tools.md").read_text()

    assert [name for name in TOOLS if f"\n## {name}\n" not in page] == []


def test_the_page_of_invariants_names_the_tests_that_carry_their_numbers() -> None:
    page = (REFERENCE.parent / "concepts/invariants.md").read_text()
    listed = {
        (section.partition("\n")[0], name)
        for section in page.split("\n### ")[1:]
        for name in re.findall(r"`(test_\w+)`", section)
    }

    assert listed == {
        (invariant.upper(), name)
        for path in (REFERENCE.parents[1] / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_i\d\w*)", path.read_text(), re.MULTILINE)
        for invariant in re.findall(r"(?<=_)i\d+(?=_)", name)
    }
