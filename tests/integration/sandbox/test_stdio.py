"""MCP servers that speak over stdio, in the sandbox: what they can do, and what they cannot."""

import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mcpbox.sandbox_client import SandboxClient
from sandbox.contract import (
    Bundle,
    ErrorKind,
    IsolationMode,
    RunLimits,
    RunResult,
    StdioServer,
)
from tests.integration.sandbox.running import API_KEY, RunningService, running
from tests.integration.sandbox.talkers import HONEST, HOSTILE, installed, of_the_sdk
from tests.integration.sandbox.web import Web
from tests.receipts import released

LIMITS = RunLimits(wall_s=20)
Bundles = Callable[..., Bundle]


@pytest.fixture(scope="module")
def directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture(scope="module")
async def own_service(directory: Path, web: Web) -> AsyncGenerator[RunningService]:
    settings = {"PRIVATE_HOSTS": f"localhost:{web.port}"}
    async with running(directory, settings) as service:
        yield service


@pytest.fixture(scope="module")
async def client(own_service: RunningService, directory: Path) -> AsyncGenerator[SandboxClient]:
    del own_service
    socket = str(directory / "sandbox.sock")
    made = SandboxClient(url="http://sandbox", api_key=SecretStr(API_KEY), socket=socket)
    yield made
    await made.aclose()


@pytest.fixture(scope="module")
async def bundle_of(own_service: RunningService) -> Bundles:
    module_set = (await installed(own_service, HONEST, HOSTILE)).key

    def make(
        tool: str | None, *args: str, module: str = "talker", server: str = "ana", **fields: Any
    ) -> Bundle:
        stdio = StdioServer(module=module, args=args, tool=tool)
        given: dict[str, Any] = {"modules": (module,), "module_set": module_set, **fields}
        return Bundle(code="", stdio=stdio, server=server, **given)

    return make


@pytest.fixture
def of_release(bundle_of: Bundles) -> Bundles:
    def make(tool: str, *args: str, **fields: Any) -> Bundle:
        changes = fields.pop("changes", {})
        return released(bundle_of(tool, *args, **fields), **changes)

    return make


def answer(result: RunResult) -> Any:
    assert result.ok, result
    return result.result["structuredContent"]["result"]


def message(result: RunResult) -> str:
    assert result.error is not None, result
    return result.error.message


async def test_a_trial_lists_the_tools_of_all_pages(
    client: SandboxClient, bundle_of: Bundles
) -> None:
    result = await client.run(bundle_of(None), {}, trial=True, limits=LIMITS)

    assert [tool["name"] for tool in result.result["tools"]] == ["echo", "count", "fail"]
    assert result.result["tools"][0]["inputSchema"] == {"type": "object"}


async def test_a_call_is_answered_as_the_server_does(
    client: SandboxClient, of_release: Bundles
) -> None:
    result = await client.run(of_release("echo"), {"text": "ü"}, limits=LIMITS)

    assert result.result == {
        "content": [{"type": "text", "text": '{"text": "\\u00fc"}'}],
        "structuredContent": {"result": {"text": "ü"}},
    }
    assert result.stdout.splitlines() == ["ready", "echoing"]


async def test_errors_of_tools_and_of_the_protocol_are_told_apart(
    client: SandboxClient, of_release: Bundles
) -> None:
    failed = await client.run(of_release("fail"), {}, limits=LIMITS)
    unknown = await client.run(of_release("gone"), {}, limits=LIMITS)

    assert failed.result == {"content": [], "isError": True}
    assert unknown.error is not None
    assert unknown.error.kind is ErrorKind.RAISED
    assert unknown.error.message == "The server answered with error -32602: Unknown tool: 'gone'"


async def test_a_server_of_the_official_sdk_runs(
    client: SandboxClient, own_service: RunningService, of_release: Bundles
) -> None:
    """It reads in one thread and writes in another, and calls the function in a third."""
    module_set = (await installed(own_service, *of_the_sdk())).key
    released_one = of_release(
        "add", module="adder", module_set=module_set, isolation=IsolationMode.RELEASE
    )

    results = [
        await client.run(released_one, {"a": 1, "b": number}, limits=LIMITS)
        for number in (2, 3, "x")
    ]

    assert [result.ok for result in results] == [True, True, True], results
    assert [result.result["isError"] for result in results] == [False, False, True]
    assert results[1].result["structuredContent"] == {"result": 4}
    assert "adding" in results[1].stdout


async def test_two_calls_see_nothing_of_each_other(
    client: SandboxClient, of_release: Bundles
) -> None:
    bundle = of_release("count", "--flag", "x")
    answers = [answer(await client.run(bundle, {}, limits=LIMITS)) for _ in range(2)]

    assert [one["calls"] for one in answers] == [1, 1]
    assert answers[0]["args"] == ["--flag", "x"]
    assert len({one["pid"] for one in answers}) == 2


async def test_calls_of_one_release_may_share_a_session(
    client: SandboxClient, of_release: Bundles
) -> None:
    bundle = of_release("count", isolation=IsolationMode.RELEASE)
    other = of_release("count", "--other", isolation=IsolationMode.RELEASE)
    answers = [answer(await client.run(bundle, {}, limits=LIMITS)) for _ in range(3)]
    apart = answer(await client.run(other, {}, limits=LIMITS))

    assert [one["calls"] for one in answers] == [1, 2, 3]
    assert len({one["pid"] for one in answers}) == 1
    assert apart["calls"] == 1


async def test_limits_are_those_of_a_call(client: SandboxClient, of_release: Bundles) -> None:
    spinning = of_release("spin", isolation=IsolationMode.RELEASE)
    by_wall = await client.run(spinning, {}, limits=RunLimits(wall_s=0.3))
    by_cpu = await client.run(of_release("spin"), {}, limits=RunLimits(wall_s=20, cpu_s=1))

    assert by_wall.error is not None
    assert by_cpu.error is not None
    assert [by_wall.error.kind, by_cpu.error.kind] == [ErrorKind.WALL, ErrorKind.CPU]


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
        ("silent", ErrorKind.WALL, "longer than 1 s"),
    ],
)
@pytest.mark.parametrize("isolation", IsolationMode)
async def test_a_server_that_misbehaves_is_ended_and_the_next_one_is_fresh(
    client: SandboxClient,
    of_release: Bundles,
    isolation: IsolationMode,
    how: str,
    kind: ErrorKind,
    says: str,
) -> None:
    bundle = of_release("x", how, module="hostile", isolation=isolation)
    for _ in range(2 if isolation is IsolationMode.RELEASE else 1):
        result = await client.run(bundle, {}, limits=RunLimits(wall_s=1 if how == "silent" else 20))

        assert result.error is not None
        assert result.error.kind is kind
        assert says in result.error.message
