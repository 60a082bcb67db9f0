"""What the tools of a server can do together."""

import pytest

from mcpbox.policies.composition import Abilities, abilities_of, composition_findings
from mcpbox.policies.static import read_code

READS_PRIVATE = Abilities(tool="notes", private=True, untrusted=False, outbound=False)
READS_WEB = Abilities(tool="web", private=False, untrusted=True, outbound=False)
SENDS = Abilities(tool="mail", private=False, untrusted=False, outbound=True)


@pytest.mark.parametrize(
    ("others", "new", "title"),
    [
        ([], SENDS, None),
        ([READS_PRIVATE], SENDS, None),
        ([READS_PRIVATE, READS_WEB], SENDS, "Completes the set"),
        ([READS_PRIVATE, READS_WEB, SENDS], SENDS, "The set is complete"),
    ],
)
def test_the_three_together_are_worth_a_note(
    others: list[Abilities], new: Abilities, title: str | None
) -> None:
    found = composition_findings(others, new)

    assert [finding.title for finding in found] == ([title] if title else [])


@pytest.mark.parametrize(
    ("code", "secrets", "expected"),
    [
        ("return 1", (), (False, False, False)),
        ("return 1", ("KEY",), (True, False, False)),
        ("return await http.get('https://a.example/')", (), (False, True, False)),
        ("return await http.get('https://a.example/' + x)", (), (False, True, True)),
        ("return await http.post('https://a.example/')", (), (False, True, True)),
    ],
)
def test_abilities_are_read_from_the_code(
    code: str, secrets: tuple[str, ...], expected: tuple[bool, bool, bool]
) -> None:
    reading = read_code(f"async def main(x: str) -> object:\n    {code}\n")

    abilities = abilities_of("t", reading, secrets)

    assert (abilities.private, abilities.untrusted, abilities.outbound) == expected
