"""I8 in every mode that the machine can make: abuse without the guard, honest tools with it.

By the command that tries any corpus, so what it says of others can be believed.
"""

import asyncio
import json
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.modes import MODES, cannot_be_made
from tests.corpus.snippets import HERE
from tests.corpus.world import ROOT

TIMEOUT_S = 50
NOTHING = Path("/dev/null")
POSSIBLE = [name for name, mode in MODES.items() if cannot_be_made(mode) is None]
UNLIKE = {"root", "container", "container-without-landlock"}
"""Modes that differ in what the kernel refuses, not only in who asks; the command tries all."""
RAW_REQUEST = """
import json, os, struct, time
async def main():
    head = {"m": "GET", "u": "http://@@ALLOWED_HP@@/json", "h": [], "t": 3}
    h = json.dumps(head).encode()
    p = struct.pack("<I", len(h)) + h
    os.write(3, struct.pack("<IBI", len(p), 3, 77) + p)
    said = b""
    while b"hello" not in said:
        said += os.read(3, 5000)
    return "O" + "UT"
"""
"""In the corpus's words: it asks for nothing forbidden, so it must be answered."""
REAL = {"file-io-open", "obj-genframe", "fmt-globals", "leak-random-state", "out-exit"}


async def tried(*arguments: str | Path) -> dict[str, Any]:
    command = (sys.executable, "-B", "-m", "tests.corpus", "--wall", "0.5", *map(str, arguments))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            said, noted = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if b"apart from this machine" in noted:
        pytest.skip(noted.decode())
    assert process.returncode == 0, noted.decode()
    counted: dict[str, Any] = json.loads(said)
    return counted


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


@pytest.mark.parametrize("mode", POSSIBLE)
async def test_i8_abuse_does_not_get_through_and_honest_tools_work(mode: str) -> None:
    files = ["abuse.jsonl", "boundary.jsonl"] if mode in UNLIKE else ["abuse.jsonl"]
    abuse = [("--abuse", HERE / name) for name in files]

    counted = await tried("--mode", mode, *chain.from_iterable(abuse))

    assert counted[mode] == {
        "abuse": sum(len(lines(name)) for name in files),
        "through": [],
        "benign": len(lines("benign.jsonl")),
        "benign_failed": [],
        "service_died": 0,
    }


async def test_i8_the_guard_neither_helps_the_abuse_nor_harms_honest_tools() -> None:
    mode = POSSIBLE[0]
    abuse = ("--abuse", HERE / "abuse.jsonl")

    on = await tried("--guard", "on", "--mode", mode, *abuse)
    off = await tried("--guard", "off", "--mode", mode, "--abuse", NOTHING)

    assert on[mode]["through"] == []
    assert on[mode]["abuse"] == len(lines("abuse.jsonl"))
    assert off[mode]["benign_failed"] == []


async def test_the_abuse_is_real_outside_the_sandbox(tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    chosen = [json.dumps(one) for one in lines("abuse.jsonl") if one["id"] in REAL]
    few.write_text("\n".join(chosen))

    counted = await tried("--abuse", few, "--benign", NOTHING, "--mode", "control")

    assert counted["control"]["abuse"] == len(chosen)
    assert set(counted["control"]["through"]) >= REAL - {"leak-random-state", "out-exit"}


async def test_what_gets_through_fails_or_cannot_be_tried_is_named(tmp_path: Path) -> None:
    """The command must be able to see a hole."""
    abuse = tmp_path / "abuse.jsonl"
    benign = tmp_path / "benign.jsonl"
    raw = {"id": "raw", "code": RAW_REQUEST}
    hole = {"id": "hole", "code": "async def main():\n    return 'O' + 'UT'\n"}
    strange = {"id": "strange", "code": "async def main():\n    return '@@UNHEARD_OF@@'\n"}
    marked = [json.dumps({**one, "success_marker": "OUT"}) for one in (hole, raw, strange)]
    abuse.write_text("\n".join(marked))
    wrong = {"id": "wrong", "code": hole["code"], "args": {}, "expected": "IN", "stdout": ""}
    benign.write_text(json.dumps(wrong))

    counted = await tried("--abuse", abuse, "--benign", benign, "--mode", POSSIBLE[0])

    assert counted[POSSIBLE[0]] == {
        "abuse": 2,
        "through": ["hole", "raw"],
        "benign": 1,
        "benign_failed": ["wrong"],
        "service_died": 0,
    }
