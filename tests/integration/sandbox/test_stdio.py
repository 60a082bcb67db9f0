"""MCP servers that speak over stdio, in the sandbox: what they can do, and what they cannot."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mcpbox.domain.errors import Refused
from mcpbox.sandbox_client import SandboxClient
from sandbox.contract import (
    BoundSecret,
    Bundle,
    ErrorKind,
    IsolationMode,
    RunLimits,
    RunResult,
    StdioServer,
)
from tests.integration.sandbox.module_bench import WITHOUT_NAMESPACES, module_bench
from tests.integration.sandbox.running import API_KEY, RunningService, running
from tests.integration.sandbox.talkers import HONEST, HOSTILE, installed, wheels_of_the_sdk
from tests.integration.sandbox.web import Web
from tests.receipts import released

LIMITS = RunLimits(wall_s=20)
Bundles = Callable[..., Bundle]


@pytest.fixture(scope="module")
def directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
def open_directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="modules-") as path:
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


def of_tools(bundle: Bundle) -> Bundle:
    """A tool of the same server, with the same modules."""
    changes = {"code": "async def main():\n    return 1\n", "stdio": None}
    return released(bundle.model_copy(update=changes))


def answer(result: RunResult) -> Any:
    assert result.ok, result
    return result.result["structuredContent"]["result"]


@pytest.mark.parametrize("module", ["talker", "talking", "talking.__main__"])
async def test_a_trial_lists_the_tools_of_all_pages(
    client: SandboxClient, bundle_of: Bundles, module: str
) -> None:
    bundle = bundle_of(None, module=module, modules=("talker", "talking"))

    result = await client.run(bundle, {}, trial=True, limits=LIMITS)

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
    module_set = (await installed(own_service, *wheels_of_the_sdk())).key
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
        ("silent", ErrorKind.WALL, "longer than 0.5 s"),
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
        result = await client.run(
            bundle, {}, limits=RunLimits(wall_s=0.5 if how == "silent" else 20)
        )

        assert result.error is not None
        assert result.error.kind is kind
        assert says in result.error.message


async def test_what_is_printed_besides_messages_is_kept_as_output(
    client: SandboxClient, of_release: Bundles
) -> None:
    garbage = await client.run(of_release("x", "garbage", module="hostile"), {}, limits=LIMITS)
    flood = await client.run(of_release("x", "floods", module="hostile"), {}, limits=LIMITS)

    assert garbage.ok
    assert garbage.stdout.splitlines() == ["{ not json", "[1]", "plain words", ""]
    assert flood.ok
    assert flood.stdout == "z" * 65536 + "\n[output truncated: the limit is 65536 bytes]"


async def test_a_server_reaches_nothing_but_its_pipes(
    client: SandboxClient, of_release: Bundles, web: Web, directory: Path
) -> None:
    canary = directory / "canary"
    canary.write_text("seen")
    canary.chmod(0o644)
    arguments = {"port": web.port, "canary": str(canary)}

    reached = await client.run(of_release("x", "reaches", module="hostile"), arguments)

    assert reached.result["structuredContent"] == {}, reached


async def test_threads_are_bounded_and_take_none_from_others(
    client: SandboxClient, of_release: Bundles
) -> None:
    bomb = of_release("x", "threads", module="hostile", server="eve", isolation="release")

    bombs = await asyncio.gather(*(client.run(bomb, {}, limits=LIMITS) for _ in range(2)))
    others = await client.run(of_release("count"), {}, limits=LIMITS)
    forks = await client.run(of_tools(bomb), {}, limits=LIMITS)

    started = [one.result["structuredContent"]["n"] for one in bombs if one.ok]
    assert 0 < sum(started) < 56
    assert answer(others)["calls"] == 1
    assert forks.result == 1


async def test_what_a_server_says_on_the_broker_s_channel_is_judged_as_its_word(
    client: SandboxClient, of_release: Bundles
) -> None:
    """It forges its own answer, which is its own to give, and must look like one."""
    forged = await client.run(of_release("x", "forges", module="hostile"), {}, limits=LIMITS)

    assert forged.error is not None
    assert forged.error.kind is ErrorKind.CRASHED


@pytest.mark.parametrize("isolation", IsolationMode)
async def test_httpx_goes_through_the_broker_in_threads_too(
    client: SandboxClient, of_release: Bundles, web: Web, isolation: IsolationMode
) -> None:
    fields: dict[str, Any] = {"hosts": (f"localhost:{web.port}",), "isolation": isolation}
    url = f"http://localhost:{web.port}/json"

    for _ in range(2):
        threads = await client.run(of_release("fetch", **fields), {"url": url, "at_once": 5})
        tasks = await client.run(of_release("afetch", **fields), {"url": url})

        assert answer(threads) == [{"hello": "world", "n": 42}] * 5
        assert answer(tasks) == [{"hello": "world", "n": 42}] * 3
        assert [record.status for record in threads.egress] == [200] * 5


async def test_hosts_that_were_not_granted_are_refused(
    client: SandboxClient, of_release: Bundles, web: Web
) -> None:
    url = f"http://localhost:{web.port}/json"

    result = await client.run(of_release("afetch"), {"url": url}, limits=LIMITS)

    assert "not granted" in result.result["content"][0]["text"]
    assert all(record.refused for record in result.egress)


async def test_secrets_are_in_the_environment_and_bound_ones_only_stand_in(
    client: SandboxClient, of_release: Bundles, web: Web
) -> None:
    host = f"localhost:{web.port}"
    names = {"changes": {"secret_names": ("TOKEN", "PLAIN")}, "hosts": (host,)}
    secrets = {
        "TOKEN": BoundSecret(value=SecretStr("a-bound-value"), hosts=(host,)),
        "PLAIN": BoundSecret(value=SecretStr("a-plain-value")),
    }
    fetching = of_release("fetch", isolation=IsolationMode.RELEASE, **names)
    told = await client.run(of_release("environment", **names), {}, secrets=secrets)
    web.asked.clear()
    for _ in range(2):
        await client.run(fetching, {"url": f"http://{host}/echo?TOKEN"}, secrets=secrets)
    others = await client.run(of_release("environment"), {})

    environment = answer(told)
    assert environment["PLAIN"] == "a-plain-value"
    assert environment["TOKEN"].startswith("secret")
    assert "a-bound-value" not in told.model_dump_json()
    assert not {"TOKEN", "PLAIN"} & answer(others).keys()
    assert not [name for name in answer(others) if name.startswith("MCPBOX")]
    assert web.asked == ["/echo?a-bound-value"] * 2


async def test_a_changed_secret_starts_the_server_anew(
    client: SandboxClient, of_release: Bundles
) -> None:
    bundle = of_release(
        "count", isolation=IsolationMode.RELEASE, changes={"secret_names": ("PLAIN",)}
    )
    calls: list[int] = []
    for value in ("one", "one", "two"):
        secrets = {"PLAIN": BoundSecret(value=SecretStr(value))}
        calls.append(answer(await client.run(bundle, {}, secrets=secrets))["calls"])

    assert calls == [1, 2, 1]


async def test_only_what_was_approved_is_run(client: SandboxClient, of_release: Bundles) -> None:
    approved = of_release("echo")
    assert approved.stdio is not None
    for change in ({"tool": "count"}, {"tool": None}, {"args": ("x",)}):
        other = approved.model_copy(update={"stdio": approved.stdio.model_copy(update=change)})
        with pytest.raises(Refused):
            await client.run(other, {})


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
    client: SandboxClient, of_release: Bundles, fields: dict[str, Any], says: str
) -> None:
    bundle = of_release("echo", **fields)

    registered = await client.register(bundle)
    result = await client.run(bundle, {})

    assert says in (registered.problem or "")
    assert result.error is not None
    assert result.error.kind is ErrorKind.REJECTED
    assert says in result.error.message


async def test_a_server_is_made_ready_without_being_run(
    client: SandboxClient, of_release: Bundles
) -> None:
    registered = await client.register(of_release("x", "raises", module="hostile"))

    assert registered.problem is None


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
        of_the_sdk = await bench.speak(
            StdioServer(module="adder", tool="add"),
            await bench.install(*wheels_of_the_sdk()),
            {"a": 1, "b": 2},
        )

    assert answer(counted)["calls"] == 1
    assert reached.result["structuredContent"] == {}, reached
    assert absent.error is not None
    assert absent.error.message.startswith("ModuleNotFoundError: ")
    assert of_the_sdk.result["structuredContent"] == {"result": 3}
