"""The targets of the optional fuzzer work without it, and find what they are for."""

import sys

import pytest

from sandbox import guard
from sandbox.frames import HEADER
from tests.fuzz import targets
from tests.fuzz.__main__ import main

SEEDS = [b"", b"import os\n", b"\xff\xfe", b"\x05" * 40, HEADER.pack(3, 1, 0) + b"abc" * 3]


@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_target_takes_any_bytes(name: str) -> None:
    for seed in SEEDS:
        targets.TARGETS[name](seed)


def test_a_finding_that_points_nowhere_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_: str) -> list[guard.Finding]:
        return [guard.Finding(7, 0, "?")]

    monkeypatch.setattr(targets, "check", lost)

    with pytest.raises(AssertionError, match="points nowhere"):
        targets.guard(b"x = 1\n")


def test_without_a_target_or_without_the_fuzzer_the_command_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)

    assert main([]) == main(["nothing"]) == main(["guard"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [*["Say what to fuzz: frames or guard."] * 2, said[-1]]
    assert "pip install atheris" in said[-1]
