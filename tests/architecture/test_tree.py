"""The shape of the tree: packages, modules, decisions, and what no file may contain."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from mcpbox.domain import errors

ROOT = Path(__file__).parents[2]

PACKAGES = {
    *("mcpbox", "workflows", "activities", "gateway", "sandbox", "api", "ui", "cli"),
    *("migrations", "tests", "benchmarks", "deploy", "docs"),
}
LINES_MAX = 400
LONGER: dict[str, int] = {}
"""A ratchet, path to lines: a number here goes down, and leaves once it is within the limit."""

ADDRESS = re.compile(
    r"https?://\S*(?:/simple\b|\.whl\b|\.tar\.gz\b|\.tgz\b)"
    r"|--(?:extra-)?index-url[ =]\S*/|--find-links[ =]\S*/"
)
PUBLIC_INDEX = "https://pypi.org/simple"
"""The default of a setting, and the only one that may be named."""
TREE_LINE = re.compile(r"^((?:│   |    )*(?:├── |└── )?)(\w+)", re.MULTILINE)


def files() -> list[Path]:
    """Everything that is or could be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def modules() -> list[Path]:
    return [path for path in files() if path.suffix == ".py"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    """Empty for what is not text."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_folders_are_those_of_the_design() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in modules()}

    assert folders <= PACKAGES


def test_every_module_says_what_it_is_about() -> None:
    silent = [
        name_of(path)
        for path in modules()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
        if "tests" not in path.relative_to(ROOT).parts
    ]

    assert silent == []


def test_no_module_outgrows_the_limit() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in modules()}
    longer = {name: length for name, length in lengths.items() if length > LINES_MAX}

    assert longer == LONGER


def test_decisions_are_numbered_one_after_the_other() -> None:
    decisions = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))

    assert [path.name[:5] for path in decisions] == [
        f"{number:04}-" for number in range(1, len(decisions) + 1)
    ]


@pytest.mark.parametrize(
    "decision", sorted((ROOT / "docs/adr").glob("[0-9]*.md")), ids=lambda path: path.stem
)
def test_a_decision_has_every_part_of_the_template(decision: Path) -> None:
    """ADR 0001."""
    text = decision.read_text()

    assert text.startswith(f"# {decision.name[:4]}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        *("Status", "Context", "Decision", "Consequences", "Alternatives"),
        "What enforces it",
    ]
    assert decision.name in (ROOT / "docs/adr/README.md").read_text()


def test_no_file_names_a_registry_or_this_machine() -> None:
    places = {f"{Path.home()}/"}
    if len(ROOT.parts) > 2:
        places.add(f"{ROOT}/")
    telling = [
        f"{name_of(path)}: {found!r}"
        for path in files()
        if (text := text_of(path))
        for found in [*ADDRESS.findall(text), *(place for place in places if place in text)]
        if found != PUBLIC_INDEX
    ]

    assert telling == []


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    real = {
        cls.__name__: cls.__base__.__name__
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.DomainError)
        if cls is not errors.DomainError and cls.__base__
    }
    docstring = errors.__doc__ or ""
    start = docstring.index("DomainError\n")
    drawing = docstring[start : docstring.index("\n\n", start)]

    drawn: dict[str, str] = {}
    parents: list[str] = []
    for branch, name in TREE_LINE.findall(drawing):
        depth = len(branch) // 4
        if depth:
            drawn[name] = parents[depth - 1]
        parents[depth:] = [name]

    assert drawn == real
