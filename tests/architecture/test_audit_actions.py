"""The vocabulary of the audit log is what the code writes."""

import re
from pathlib import Path

from mcpbox.domain.audit import Action

ROOT = Path(__file__).parents[2]
WRITERS = ("mcpbox/usecases", "mcpbox/store", "activities")


def test_every_action_is_written_somewhere() -> None:
    code = "".join(
        path.read_text() for folder in WRITERS for path in sorted((ROOT / folder).rglob("*.py"))
    )
    written = set(re.findall(r"\bAction\.([A-Z_]+)\b", code))

    assert {action.name for action in Action} - written == set()


def test_an_action_names_its_source_its_subject_and_what_happened() -> None:
    assert [a for a in Action if not re.fullmatch(r"[a-z]+:[a-z_]+:[a-z_]+", a)] == []
