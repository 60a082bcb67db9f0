"""MCP servers that speak over stdio, in the sandbox: what they can do."""

from typing import Any

import pytest
from pydantic import SecretStr

from sandbox.contract import BoundSecret, ErrorKind, IsolationMode, RunLimits
from tests.integration.sandbox.stage import LIMITS, Stage, answer
from tests.integration.sandbox.talkers import installed, wheels_of_the_sdk
from tests.integration.sandbox.web import Web


@pytest.mark.parametrize("module", ["talker", "talking", "talking.__main__"])
async def test_a_trial_lists_the_tools_of_all_pages(stage: Stage, module: str) -> None:
    bundle = stage.bundle(None, module=module, modules=("talker", "talking"))

    result = await stage.client.run(bundle, {}, trial=True, limits=LIMITS)

    assert [tool["name"] for tool in result.result["tools"]] == ["echo", "count", "fail"]
    assert result.result["tools"][0]["inputSchema"] == {"type": "object"}


async def test_a_call_is_answered_as_the_server_does(stage: Stage) -> None:
    result = await stage.client.run(stage.release("echo"), {"text": "ü"}, limits=LIMITS)

    assert result.result == {
        "content": [{"type": "text", "text": '{"text": "\\u00fc"}'}],
        "structuredContent": {"result": {"text": "ü"}},
    }
    assert result.stdout.splitlines() == ["ready", "echoing"]


async def test_errors_of_tools_and_of_the_protocol_are_told_apart(stage: Stage) -> None:
    failed = await stage.client.run(stage.release("fail"), {}, limits=LIMITS)
    unknown = await stage.client.run(stage.release("gone"), {}, limits=LIMITS)

    assert failed.result == {"content": [], "isError": True}
    assert unknown.error is not None
    assert unknown.error.kind is ErrorKind.RAISED
    assert unknown.error.message == "The server answered with error -32602: Unknown tool: 'gone'"


async def test_a_server_of_the_official_sdk_runs(stage: Stage) -> None:
    """It reads in one thread and writes in another, and its log was set up when it was imported."""
    module_set = (await installed(stage.service, *wheels_of_the_sdk())).key
    released_one = stage.release(
        "add", module="adder", module_set=module_set, isolation=IsolationMode.RELEASE
    )

    results = [
        await stage.client.run(released_one, {"a": 1, "b": number}, limits=LIMITS)
        for number in (2, 3, "x")
    ]

    assert [result.ok for result in results] == [True, True, True], results
    assert [result.result["isError"] for result in results] == [False, False, True]
    assert results[1].result["structuredContent"] == {"result": 4}
    assert results[1].stdout == "adding\n"
    assert results[2].stdout == "Tool 'add' rejected arguments: ['b']\n"


async def test_two_calls_see_nothing_of_each_other(stage: Stage) -> None:
    bundle = stage.release("count", "--flag", "x")
    answers = [answer(await stage.client.run(bundle, {}, limits=LIMITS)) for _ in range(2)]

    assert [one["calls"] for one in answers] == [1, 1]
    assert answers[0]["args"] == ["--flag", "x"]
    assert len({one["pid"] for one in answers}) == 2


async def test_calls_of_one_release_may_share_a_session(stage: Stage) -> None:
    bundle = stage.release("count", isolation=IsolationMode.RELEASE)
    other = stage.release("count", "--other", isolation=IsolationMode.RELEASE)
    answers = [answer(await stage.client.run(bundle, {}, limits=LIMITS)) for _ in range(3)]
    apart = answer(await stage.client.run(other, {}, limits=LIMITS))

    assert [one["calls"] for one in answers] == [1, 2, 3]
    assert len({one["pid"] for one in answers}) == 1
    assert apart["calls"] == 1


async def test_limits_are_those_of_a_call(stage: Stage) -> None:
    spinning = stage.release("spin", isolation=IsolationMode.RELEASE)
    by_wall = await stage.client.run(spinning, {}, limits=RunLimits(wall_s=0.3))
    by_cpu = await stage.client.run(stage.release("spin"), {}, limits=RunLimits(wall_s=20, cpu_s=1))

    assert by_wall.error is not None
    assert by_cpu.error is not None
    assert [by_wall.error.kind, by_cpu.error.kind] == [ErrorKind.WALL, ErrorKind.CPU]


@pytest.mark.parametrize("isolation", IsolationMode)
async def test_httpx_goes_through_the_broker_in_threads_too(
    stage: Stage, web: Web, isolation: IsolationMode
) -> None:
    fields: dict[str, Any] = {"hosts": (f"localhost:{web.port}",), "isolation": isolation}
    url = f"http://localhost:{web.port}/json"

    for _ in range(2):
        threads = await stage.client.run(
            stage.release("fetch", **fields), {"url": url, "at_once": 5}
        )
        tasks = await stage.client.run(stage.release("afetch", **fields), {"url": url})

        assert answer(threads) == [{"hello": "world", "n": 42}] * 5
        assert answer(tasks) == [{"hello": "world", "n": 42}] * 3
        assert [record.status for record in threads.egress] == [200] * 5


async def test_secrets_are_in_the_environment_and_bound_ones_only_stand_in(
    stage: Stage, web: Web
) -> None:
    host = f"localhost:{web.port}"
    names = {"changes": {"secret_names": ("TOKEN", "PLAIN")}, "hosts": (host,)}
    secrets = {
        "TOKEN": BoundSecret(value=SecretStr("a-bound-value"), hosts=(host,)),
        "PLAIN": BoundSecret(value=SecretStr("a-plain-value")),
    }
    fetching = stage.release("fetch", isolation=IsolationMode.RELEASE, **names)
    told = await stage.client.run(stage.release("environment", **names), {}, secrets=secrets)
    web.asked.clear()
    for _ in range(2):
        await stage.client.run(fetching, {"url": f"http://{host}/echo?TOKEN"}, secrets=secrets)
    others = await stage.client.run(stage.release("environment"), {})

    environment = answer(told)
    assert environment["PLAIN"] == "a-plain-value"
    assert environment["TOKEN"].startswith("secret")
    assert "a-bound-value" not in told.model_dump_json()
    assert not {"TOKEN", "PLAIN"} & answer(others).keys()
    assert not [name for name in answer(others) if name.startswith("MCPBOX")]
    assert web.asked == ["/echo?a-bound-value"] * 2


async def test_a_changed_secret_starts_the_server_anew(stage: Stage) -> None:
    bundle = stage.release(
        "count", isolation=IsolationMode.RELEASE, changes={"secret_names": ("PLAIN", "TOKEN")}
    )
    calls: list[int] = []
    for value in ("one", "one", "two"):
        secrets = {
            "PLAIN": BoundSecret(value=SecretStr(value)),
            "TOKEN": BoundSecret(value=SecretStr("bound"), hosts=("api.test",)),
        }
        calls.append(answer(await stage.client.run(bundle, {}, secrets=secrets))["calls"])

    assert calls == [1, 2, 1]


async def test_a_server_is_made_ready_without_being_run(stage: Stage) -> None:
    registered = await stage.client.register(stage.release("x", "raises", module="hostile"))

    assert registered.problem is None
