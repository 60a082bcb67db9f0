"""The breaker counts what did not answer, and closes by itself."""

import asyncio

import pytest

from mcpbox.breaker import Breaker
from mcpbox.domain.errors import Unavailable


def failing(times: int) -> Breaker:
    breaker = Breaker("The sandbox", failures=3)
    for _ in range(times):
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row_and_says_what_to_do() -> None:
    failing(2).require_closed()

    with pytest.raises(Unavailable, match=r"3 times in a row.*nothing was run\. Try again"):
        failing(3).require_closed()


def test_an_answer_in_between_starts_the_count_anew() -> None:
    breaker = failing(2)
    breaker.answered()
    breaker.failed()
    breaker.failed()

    assert not breaker.is_open


async def test_probes_alone_close_it_and_begin_again_when_it_opens_again() -> None:
    breaker = failing(3)
    there = asyncio.Event()
    closed = asyncio.Queue[int]()
    probes = 0

    async def probe() -> None:
        nonlocal probes
        probes += 1
        if not there.is_set():
            there.set()
            breaker.failed()
            raise Unavailable("The sandbox")
        breaker.answered()
        closed.put_nowait(probes)

    running = asyncio.create_task(breaker.run(probe))
    async with asyncio.timeout(10):
        assert await closed.get() == 2
        breaker.require_closed()
        for _ in range(3):
            breaker.failed()
        assert await closed.get() == 3
    running.cancel()

    assert breaker.times_opened == 2


@pytest.mark.parametrize("answers", [True, False])
async def test_what_took_too_long_is_asked_whether_it_is_there(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    monkeypatch.setattr("mcpbox.breaker._PROBE_EVERY_S", 0)
    breaker = Breaker("The sandbox", failures=3)
    probed = asyncio.Event()

    async def probe() -> None:
        if answers:
            breaker.answered()
            probed.set()
            return
        breaker.failed()
        if breaker.is_open:
            probed.set()
        raise Unavailable("The sandbox")

    running = asyncio.create_task(breaker.run(probe))
    breaker.doubt()
    async with asyncio.timeout(10):
        await probed.wait()
    running.cancel()

    assert breaker.is_open is not answers
