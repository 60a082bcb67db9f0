"""The lock: covers all that pyproject.toml asks for, hashed, and says nothing about its origin."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()

ENTRY = re.compile(r"^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==(\S+)((?:.*\\\n)*.*)", re.MULTILINE)
MADE_ANEW = "run make lock"


def asked_for() -> list[Requirement]:
    """What the product, its extras and its development tools name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    lines: list[str] = [
        *project["project"]["dependencies"],
        *(line for lines in extras.values() for line in lines),
        *project["dependency-groups"]["dev"],
    ]
    return [Requirement(line) for line in lines]


def test_the_lock_pins_everything_that_is_asked_for() -> None:
    """ADR 0010."""
    pinned = {name: version for name, version, _ in ENTRY.findall(LOCK)}
    unmet = [
        str(wanted)
        for wanted in asked_for()
        if not wanted.specifier.contains(pinned.get(canonicalize_name(wanted.name), "0"))
    ]

    assert unmet == [], MADE_ANEW


def test_every_pin_has_a_hash() -> None:
    pins = ENTRY.findall(LOCK)
    pinned_lines = re.findall(r"^[^\s#].*", LOCK, re.MULTILINE)

    assert len(pins) == len(pinned_lines)
    assert [name for name, _, rest in pins if "--hash=sha256:" not in rest] == []


def test_the_lock_says_nothing_about_where_packages_came_from() -> None:
    assert re.findall(r"^.*(?:://|file:|-index|find-links| @ |^-e ).*$", LOCK, re.MULTILINE) == []


def test_nothing_fetches_a_package_of_our_own_name() -> None:
    """Another project has the name on the public registry: whoever asks for it gets theirs."""
    assert "mcpbox" not in {name for name, _, _ in ENTRY.findall(LOCK)}
    assert "mcpbox" not in {canonicalize_name(wanted.name) for wanted in asked_for()}
