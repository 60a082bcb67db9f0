"""Ways to write NiceGUI code that would let an author's text run in a reviewer's browser."""

import re
from pathlib import Path

import pytest

import ui

SOURCES = sorted(Path(ui.__path__[0]).rglob("*.py"))
FORBIDDEN = {
    "markup from strings": r"\bui\.html\(|sanitize=False|html=True|html_columns|\.set_content\(",
    "links of any scheme": r"\bui\.link\(",
    "props parsed from variables": r"\.props\(\s*f[\"']",
    "events of any name": r"\.on\(\s*f[\"']",
    "data in NiceGUI's storage": r"\bstorage\.(user|browser|general|tab|client)\b",
}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_source_of_the_panel_opens_a_way_for_markup(source: Path) -> None:
    code = source.read_text()

    found = {name for name, pattern in FORBIDDEN.items() if re.search(pattern, code)}

    assert found == set()


def test_the_diff_is_built_from_text_nodes_only() -> None:
    script = (Path(ui.__path__[0]) / "static" / "diff_view.js").read_text()

    assert not re.search(r"innerHTML|v-html|eval\(|new Function|insertAdjacentHTML", script)


def test_stylesheets_load_nothing_from_elsewhere() -> None:
    for sheet in (Path(ui.__path__[0]) / "static").glob("*.css"):
        assert not re.search(r"@import|https?:|url\(\s*[\"']?//", sheet.read_text())
