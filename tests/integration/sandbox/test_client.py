"""The client that the rest of the product speaks to the sandbox with, against a real one."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import SecretStr

from mcpbox.breaker import Breaker
from mcpbox.domain.errors import Refused, TooManyAttempts, Unavailable
from mcpbox.sandbox_client import SandboxClient
from sandbox.contract import Bundle, RunLimits
from tests.integration.sandbox.held import HOLD, ONE, settings_for
from tests.integration.sandbox.running import API_KEY, RunningService, running
from tests.integration.sandbox.web import Web
from tests.receipts import released
from tests.reviewing import eventually

FLOOD = """
async def main():
    for number in range(3000):
        print(number, "é" * 100)
    return "x" * 900_000
"""


def client_to(directory: Path) -> SandboxClient:
    socket = str(directory / "sandbox.sock")
    return SandboxClient(url="http://sandbox", api_key=SecretStr(API_KEY), socket=socket)


@pytest.fixture
async def client(narrow: RunningService, narrow_directory: Path) -> AsyncGenerator[SandboxClient]:
    made = client_to(narrow_directory)
    yield made
    await made.aclose()


async def test_output_is_told_while_the_tool_runs(client: SandboxClient, held_web: Web) -> None:
    origin = f"localhost:{held_web.port}"
    told: list[str] = []

    async def on_output(text: str) -> None:
        told.append(text)
        held_web.release.set()  # so without it, the run would not end

    result = await client.run(
        released(Bundle(code=HOLD, hosts=(origin,))),
        {"url": f"http://{origin}/hold"},
        on_output=on_output,
    )

    assert result.result == "done"
    assert told == ["begun\n", "released\n"]


async def test_a_slow_listener_is_told_more_at_a_time_and_misses_nothing(
    client: SandboxClient,
) -> None:
    told: list[str] = []

    async def on_output(text: str) -> None:
        told.append(text)
        await asyncio.sleep(0.2 if len(told) == 1 else 0)

    bundle = released(Bundle(code=FLOOD))
    result = await client.run(bundle, {}, limits=RunLimits(stdout_bytes=2**20), on_output=on_output)

    assert len(result.result) == 900_000
    assert "".join(told) == result.stdout
    assert len(told) < 3000


async def test_a_listener_that_fails_ends_the_run(client: SandboxClient, held_web: Web) -> None:
    origin = f"localhost:{held_web.port}"

    async def on_output(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.run(
            released(Bundle(code=HOLD, hosts=(origin,))),
            {"url": f"http://{origin}/hold"},
            on_output=on_output,
        )

    async with asyncio.timeout(30):
        assert (await client.run(released(Bundle(code=ONE)), {})).result == 1


async def test_who_is_turned_away_learns_why_and_when_to_come_back(
    tmp_path: Path, held_web: Web
) -> None:
    origin = f"localhost:{held_web.port}"
    settings = settings_for(
        held_web, MAX_RUNNING="2", MAX_WAITING="1", MAX_WAITING_PER_SERVER="0", POOL_SIZE="1"
    )
    held = released(Bundle(code=HOLD, hosts=(origin,)))
    async with running(tmp_path, settings):
        client = client_to(tmp_path)
        await client.run(released(Bundle(code=ONE)), {})
        call = asyncio.create_task(client.run(held, {"url": f"http://{origin}/hold"}))
        async with asyncio.timeout(30):
            await held_web.arrived.wait()

        for on_output in (None, _ignore):
            with pytest.raises(TooManyAttempts) as refusal:
                await client.run(released(Bundle(code=ONE)), {}, on_output=on_output)
            told = str(refusal.value)
            assert "One server cannot take all of the sandbox: 1 of its calls run" in told
            assert "Try again in 1 s. Nothing was run." in told
        other = released(Bundle(code=ONE, server="another"))
        assert (await client.run(other, {})).result == 1
        held_web.release.set()
        assert (await call).result == "done"
        await client.aclose()


async def _ignore(_: str) -> None:
    pass


async def test_a_sandbox_that_is_away_is_left_alone_until_it_answers_a_probe(
    tmp_path: Path, held_web: Web
) -> None:
    breaker = Breaker("The sandbox", failures=2)
    socket = str(tmp_path / "sandbox.sock")
    client = SandboxClient(
        url="http://sandbox", api_key=SecretStr(API_KEY), socket=socket, breaker=breaker
    )
    bundle = released(Bundle(code=ONE))
    told: list[str] = []
    for _ in range(3):
        with pytest.raises(Unavailable) as refusal:
            await client.run(bundle, {})
        told.append(str(refusal.value))

    async def closed() -> bool:
        return not breaker.is_open

    probing = asyncio.create_task(breaker.run(client.health))
    async with running(tmp_path, settings_for(held_web, POOL_SIZE="1")), asyncio.timeout(30):
        await eventually(closed)
        assert (await client.run(bundle, {})).result == 1
    probing.cancel()
    await client.aclose()

    assert ["2 times in a row" in text for text in told] == [False, False, True]


async def test_tools_that_fail_do_not_open_the_breaker(narrow_directory: Path) -> None:
    breaker = Breaker("The sandbox", failures=1)
    client = SandboxClient(
        url="http://sandbox",
        api_key=SecretStr(API_KEY),
        socket=str(narrow_directory / "sandbox.sock"),
        breaker=breaker,
    )
    for code in ("async def main():\n    raise ValueError", "async def main(): return object()"):
        assert not (await client.run(released(Bundle(code=code)), {})).ok
    limits = RunLimits(wall_s=0.2)
    endless = "async def main():\n    while True: pass"
    assert not (await client.run(released(Bundle(code=endless)), {}, limits=limits)).ok
    await client.aclose()

    assert not breaker.is_open


async def test_an_answer_beyond_all_limits_is_dropped_while_it_arrives(
    client: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpbox.sandbox_client._ANSWER_MAX_BYTES", 800_000)

    for on_output in (None, _ignore):
        with pytest.raises(Refused, match="no tool within its limits"):
            await client.run(released(Bundle(code=FLOOD)), {}, on_output=on_output)


async def test_a_sandbox_that_hangs_is_given_up_by_its_health_and_not_by_a_slow_call(
    tmp_path: Path, held_web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpbox.sandbox_client._GRACE_S", 0.2)
    monkeypatch.setattr("mcpbox.sandbox_client._CONNECT_TIMEOUT_S", 0.5)
    breaker = Breaker("The sandbox", failures=2)
    client = SandboxClient(
        url="http://sandbox",
        api_key=SecretStr(API_KEY),
        socket=str(tmp_path / "sandbox.sock"),
        breaker=breaker,
    )
    bundle, short = released(Bundle(code=ONE)), RunLimits(wall_s=0.1)
    async with running(tmp_path, settings_for(held_web, POOL_SIZE="1")) as service:
        assert (await client.run(bundle, {})).result == 1
        service.process.send_signal(signal.SIGSTOP)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await client.run(bundle, {}, limits=short)
        assert not breaker.is_open

        async def given_up() -> bool:
            return breaker.is_open

        async def back() -> bool:
            return not breaker.is_open

        probing = asyncio.create_task(breaker.run(client.health))
        await eventually(given_up)
        service.process.send_signal(signal.SIGCONT)
        await eventually(back)
        probing.cancel()
    await client.aclose()
