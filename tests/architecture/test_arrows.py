"""Who may import whom: the contracts of pyproject.toml, and what a process really loads."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"mcpbox", "workflows", "activities", "gateway", "sandbox", "api", "ui", "cli", "migrations"}

REPORT_LOADED = "import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"


def run(*command: str) -> str:
    done = subprocess.run(  # noqa: S603 (our own commands)
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_imports_follow_the_arrows() -> None:
    """DESIGN: siblings never import each other, and arrows point inwards (ADR 0002)."""
    run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")


@pytest.mark.parametrize(
    ("module", "allowed"),
    [("gateway.app", {"gateway", "mcpbox", "sandbox"}), ("sandbox.app", {"sandbox"})],
)
def test_a_process_loads_nothing_beyond_its_part(module: str, allowed: set[str]) -> None:
    """The gateway cannot serve an admin route, for the code is not there (ADR 0002)."""
    loaded = set(run(sys.executable, "-c", REPORT_LOADED.format(module=module)).split())

    assert loaded & OURS <= allowed
    assert "nicegui" not in loaded
