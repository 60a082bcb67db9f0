"""A sample of what was tried against the sandbox, guard left out and guard on; and honest tools.

``abuse.jsonl``: a snippet got through when its marker comes back. The frames that some of them
write by hand are those of ``sandbox.frames``. ``benign.jsonl``: what plain Python returns.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest

from sandbox.contract import RunResult
from tests.integration.sandbox.pools import Anywhere, Bench, bench, private
from tests.integration.sandbox.web import Web

CORPUS = Path(__file__).with_name("corpus")
WALL_S = 1.0
OVER_MB = 400
HEALTHY = "async def main():\n    return 41 + 1\n"
VICTIM = """
import ctypes, signal, sys
kept = ctypes.create_string_buffer(sys.argv[1].encode(), 64)
print(ctypes.addressof(kept), flush=True)
signal.pause()
"""


def rows(name: str) -> list[Any]:
    items = [json.loads(line) for line in (CORPUS / name).read_text().splitlines()]
    return [pytest.param(item, id=item["id"]) for item in items]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncGenerator[Bench]:
    async with bench() as one:
        yield one


@pytest.fixture(scope="module")
def placeholders(web: Web, canary: Web) -> Generator[dict[str, str]]:
    """Real targets: a file that all may read, a server that answers, a process of this user."""
    tokens = {name: f"canary_{name}_{secrets.token_hex(8)}" for name in ("FILE", "ENV", "VICTIM")}
    os.environ["SANDBOX_CANARY"] = tokens["ENV"]
    with (
        tempfile.TemporaryDirectory(prefix="canary-") as directory,
        subprocess.Popen(  # noqa: S603  our own interpreter and code
            [sys.executable, "-c", VICTIM, tokens["VICTIM"]], stdout=subprocess.PIPE, text=True
        ) as victim,
    ):
        os.chmod(directory, 0o777)  # noqa: S103  the abuse must not fail for want of rights
        file = Path(directory) / "canary.mime"
        file.write_text(f"{tokens['FILE']} ext\n")
        assert victim.stdout is not None
        yield {
            "@@CANARY_FILE@@": str(file),
            "@@CANARY_DIR@@": directory,
            "@@T_FILE@@": tokens["FILE"],
            "@@T_ENV@@": tokens["ENV"],
            "@@T_NET@@": "reached-the-canary",
            "@@T_CALL@@": "token-of-the-call-before",
            "@@PORT@@": str(canary.port),
            "@@ALLOWED_HP@@": f"127.0.0.1:{web.port}",
            "@@VICTIM_PID@@": str(victim.pid),
            "@@VICTIM_ADDR@@": victim.stdout.readline().strip(),
            "@@OVER_MB@@": str(OVER_MB),
            "@@WALL@@": f"{WALL_S:g}",
        }
        victim.kill()
    del os.environ["SANDBOX_CANARY"]


def filled(text: str, placeholders: dict[str, str]) -> str:
    for name, value in placeholders.items():
        text = text.replace(name, value)
    return text


def got_through(item: dict[str, Any], result: RunResult, marker: str, before: object) -> bool:
    match item.get("check"):
        case "same_as_pre":
            return before is not None and result.result == before
        case "service_dead":
            return marker != "n/a" and marker in result.model_dump_json()
        case _:
            return marker in result.model_dump_json()


@pytest.mark.parametrize("item", rows("abuse.jsonl"))
async def test_i8_abuse_does_not_get_through_without_the_guard(
    sandbox: Bench, canary: Web, placeholders: dict[str, str], item: dict[str, Any]
) -> None:
    code = filled(item["code"], placeholders)
    allowed = placeholders["@@ALLOWED_HP@@"]
    grants = Anywhere(()) if item.get("server") == "wild" else private(allowed)
    before = None
    if "pre" in item:
        first = await sandbox.run(filled(item["pre"], placeholders), grants=grants, wall_s=WALL_S)
        before = first.result

    result = await sandbox.run(code, grants=grants, wall_s=WALL_S)

    marker = filled(item["success_marker"], placeholders)
    assert not got_through(item, result, marker, before), result
    assert canary.asked == []
    assert (await sandbox.run(HEALTHY)).result == 42


@pytest.mark.parametrize("item", rows("abuse.jsonl"))
async def test_i8_abuse_does_not_get_through_the_guard_either(
    sandbox: Bench, canary: Web, placeholders: dict[str, str], item: dict[str, Any]
) -> None:
    code = filled(item["code"], placeholders)
    if await sandbox.is_rejected(code):
        return
    grants = private(placeholders["@@ALLOWED_HP@@"])
    before = None
    if "pre" in item:
        first = await sandbox.run(filled(item["pre"], placeholders), grants=grants, guarded=True)
        before = first.result

    result = await sandbox.run(code, grants=grants, guarded=True, wall_s=WALL_S)

    marker = filled(item["success_marker"], placeholders)
    assert not got_through(item, result, marker, before), result
    assert canary.asked == []


@pytest.mark.parametrize(
    "item",
    [
        row
        for row in rows("abuse.jsonl")
        if row.id in {"file-io-open", "obj-genframe", "fmt-globals"}
    ],
)
def test_the_abuse_is_real_outside_the_sandbox(
    placeholders: dict[str, str], item: dict[str, Any]
) -> None:
    code = filled(item["code"], placeholders) + "\nimport asyncio\nprint(asyncio.run(main()))\n"

    ran = subprocess.run(  # noqa: S603  our own interpreter; the code only reads the canary
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert filled(item["success_marker"], placeholders) in ran.stdout


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "unguarded"])
@pytest.mark.parametrize("item", rows("benign.jsonl"))
async def test_honest_tools_work(
    sandbox: Bench, web: Web, item: dict[str, Any], guarded: bool
) -> None:
    code = item["code"].replace("@@ALLOWED@@", web.origin)

    assert not await sandbox.is_rejected(code)
    result = await sandbox.run(
        code, item["args"], grants=private(f"127.0.0.1:{web.port}"), guarded=guarded
    )

    assert result.ok, result
    assert result.result == item["expected"]
    assert item["stdout"] in result.stdout
