"""MCP servers that speak over stdio and mean harm, and what they are refused."""

import asyncio
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from mcpbox.domain.errors import Refused
from sandbox.contract import Bundle, ErrorKind, IsolationMode, RunLimits, StdioServer
from tests.integration.sandbox.module_bench import WITHOUT_NAMESPACES, module_bench
from tests.integration.sandbox.stage import LIMITS, Stage, answer
from tests.integration.sandbox.talkers import HONEST, HOSTILE
from tests.integration.sandbox.web import Web
from tests.receipts import released


@pytest.fixture
def open_directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="modules-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


def of_tools(bundle: Bundle) -> Bundle:
    """A tool of the same server, with the same modules."""
    changes = {"code": "async def main():\n    return 1\n", "stdio": None}
    return released(bundle.model_copy(update=changes))


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("other id", ErrorKind.CRASHED, "answered what it was not asked"),
        ("no output", ErrorKind.CRASHED, "closed its output"),
        ("no input", ErrorKind.CRASHED, "closed its input"),
        ("pings", ErrorKind.CRASHED, "more than 1000 messages"),
        ("long line", ErrorKind.BAD_RESULT, "said more in one call"),
        ("lines", ErrorKind.BAD_RESULT, "said more in one call"),
        ("wide", ErrorKind.BAD_RESULT, "said more in one call"),
        ("deep", ErrorKind.BAD_RESULT, "nested deeper"),
        ("leaves", ErrorKind.CRASHED, "without a result"),
        ("raises", ErrorKind.RAISED, "ZeroDivisionError: what now"),
        ("frames", ErrorKind.CRASHED, "killed"),
        ("silent", ErrorKind.WALL, "longer than 0.5 s"),
    ],
)
@pytest.mark.parametrize("isolation", IsolationMode)
async def test_a_server_that_misbehaves_is_ended_and_the_next_one_is_fresh(
    stage: Stage,
    isolation: IsolationMode,
    how: str,
    kind: ErrorKind,
    says: str,
) -> None:
    bundle = stage.release("x", how, module="hostile", isolation=isolation)
    for _ in range(2 if isolation is IsolationMode.RELEASE else 1):
        result = await stage.client.run(
            bundle, {}, limits=RunLimits(wall_s=0.5 if how == "silent" else 20)
        )

        assert result.error is not None
        assert result.error.kind is kind
        assert says in result.error.message


async def test_what_is_printed_besides_messages_is_kept_as_output(stage: Stage) -> None:
    garbage = await stage.client.run(
        stage.release("x", "garbage", module="hostile"), {}, limits=LIMITS
    )
    flood = await stage.client.run(
        stage.release("x", "floods", module="hostile"), {}, limits=LIMITS
    )

    assert garbage.ok
    assert garbage.stdout.splitlines() == ["{ not json", "[1]", "plain words", ""]
    assert flood.ok
    assert flood.stdout == "z" * 65536 + "\n[output truncated: the limit is 65536 bytes]"


async def test_a_server_reaches_nothing_but_its_pipes(stage: Stage, web: Web) -> None:
    canary = stage.directory / "canary"
    canary.write_text("seen")
    canary.chmod(0o644)
    arguments = {"port": web.port, "canary": str(canary)}

    reached = await stage.client.run(stage.release("x", "reaches", module="hostile"), arguments)

    assert reached.result["structuredContent"] == {}, reached


async def test_threads_are_bounded_and_take_none_from_others(stage: Stage) -> None:
    bomb = stage.release("x", "threads", module="hostile", server="eve", isolation="release")

    bombs = await asyncio.gather(*(stage.client.run(bomb, {}, limits=LIMITS) for _ in range(2)))
    others = await stage.client.run(stage.release("count"), {}, limits=LIMITS)
    forks = await stage.client.run(of_tools(bomb), {}, limits=LIMITS)

    started = [one.result["structuredContent"]["n"] for one in bombs if one.ok]
    assert 0 < sum(started) < 56
    assert answer(others)["calls"] == 1
    assert forks.result == 1


async def test_what_a_server_says_on_the_broker_s_channel_is_judged_as_its_word(
    stage: Stage,
) -> None:
    """It forges its own answer, which is its own to give, and must look like one."""
    forged = await stage.client.run(
        stage.release("x", "forges", module="hostile"), {}, limits=LIMITS
    )

    assert forged.error is not None
    assert forged.error.kind is ErrorKind.CRASHED


async def test_hosts_that_were_not_granted_are_refused(stage: Stage, web: Web) -> None:
    url = f"http://localhost:{web.port}/json"

    result = await stage.client.run(stage.release("afetch"), {"url": url}, limits=LIMITS)

    assert "not granted" in result.result["content"][0]["text"]
    # What fails first ends the others, maybe before they were looked at.
    assert any(record.refused for record in result.egress)
    assert not any(record.status or record.sent_bytes for record in result.egress)


async def test_only_what_was_approved_is_run(stage: Stage) -> None:
    approved = stage.release("echo")
    assert approved.stdio is not None
    for change in ({"tool": "count"}, {"tool": None}, {"args": ("x",)}):
        other = approved.model_copy(update={"stdio": approved.stdio.model_copy(update=change)})
        with pytest.raises(Refused):
            await stage.client.run(other, {})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"module": "talker", "modules": ("hostile",)}, "'talker' is not granted"),
        ({"module": "http.server", "modules": ("talker",)}, "'http.server' is not granted"),
        ({"module": "talker", "module_set": None}, "'talker' is not granted"),
        ({"module": "absent", "modules": ("absent",)}, "'absent' is not among the modules"),
    ],
)
async def test_a_module_that_is_not_there_is_told_before_anything_runs(
    stage: Stage, fields: dict[str, Any], says: str
) -> None:
    bundle = stage.release("echo", **fields)

    registered = await stage.client.register(bundle)
    result = await stage.client.run(bundle, {})

    assert says in (registered.problem or "")
    assert result.error is not None
    assert result.error.kind is ErrorKind.REJECTED
    assert says in result.error.message


async def test_without_namespaces_a_server_runs_and_reaches_no_more(
    web: Web, open_directory: Path
) -> None:
    """There each child imports the modules itself, behind a filter that lets it have threads."""
    async with module_bench(open_directory, without=WITHOUT_NAMESPACES) as bench:
        module_set = await bench.install(HONEST, HOSTILE)
        honest = StdioServer(module="talker", tool="count")
        hostile = StdioServer(module="hostile", args=("reaches",), tool="x")
        arguments = {"port": web.port, "canary": f"{open_directory}/partial"}

        counted = await bench.speak(honest, module_set)
        reached = await bench.speak(hostile, module_set, arguments)
        absent = await bench.speak(StdioServer(module="talker.part", tool="x"), module_set)
        slept = await bench.speak(StdioServer(module="talker", tool="sleep"), module_set)

    assert answer(counted)["calls"] == 1
    assert reached.result["structuredContent"] == {}, reached
    assert absent.error is not None
    assert absent.error.message.startswith("ModuleNotFoundError: ")
    assert answer(slept) == "slept"
