"""Documentation that points at what exists, and names every setting."""

import re
from pathlib import Path

import pytest

from mcpbox.settings import Settings
from sandbox.contract import DEFAULT_MODULES
from sandbox.settings import Settings as SandboxSettings

ROOT = Path(__file__).parents[2]
PACKAGES = ("mcpbox", "activities", "gateway", "sandbox", "api", "ui", "cli", "migrations")

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)|(?:src|srcset)=\"([^\":]+)\"")
VARIABLE = re.compile(r"\bMCPBOX_[A-Z_]*[A-Z]\b")


def named_in_code() -> set[str]:
    sources = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    read = {name for path in sources for name in VARIABLE.findall(path.read_text())}
    ours = {f"MCPBOX_{name.upper()}" for name in Settings.model_fields}
    sandbox = {f"MCPBOX_SANDBOX_{name.upper()}" for name in SandboxSettings.model_fields}
    return read | ours | sandbox


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_something(page: Path) -> None:
    targets = [link or image for link, image in LINK.findall(page.read_text())]

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in PAGES if "docs" in path.parts]

    assert [
        page
        for page in pages
        if page != "README.md" and page not in index and not page.startswith("adr/")
    ] == []


def test_the_guide_lists_the_modules_that_every_tool_may_import() -> None:
    guide = (ROOT / "docs/guides/write-a-tool.md").read_text()
    section = guide.partition("## Modules\n")[2].partition("\n## ")[0]
    first, listed, *_ = section.strip().split("\n\n")

    assert set(re.findall(r"`(\w+)`", first + listed)) == DEFAULT_MODULES


def test_the_reference_names_every_setting_and_no_other() -> None:
    documented = set(VARIABLE.findall((ROOT / "docs/reference/settings.md").read_text()))

    assert documented == named_in_code()
