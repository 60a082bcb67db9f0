import asyncio
from collections.abc import Callable
from typing import Any, Self, cast

import pytest
from nicegui import Client, core

from ui.live import Live


class Tab:
    """As much of a NiceGUI client as following needs."""

    def __init__(self) -> None:
        self.is_deleted = False
        self._on_delete: list[Callable[[], Any]] = []

    def on_delete(self, handler: Callable[[], Any]) -> None:
        self._on_delete.append(handler)

    def close(self) -> None:
        self.is_deleted = True
        for handler in self._on_delete:
            handler()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture(autouse=True)
async def loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "loop", asyncio.get_running_loop())


async def test_a_page_reacts_to_its_topics_only() -> None:
    live, tab, reacted = Live(), Tab(), asyncio.Event()

    async def react() -> None:
        reacted.set()

    live.follow(cast("Client", tab), frozenset({"requests"}), react, gap_s=0)
    live.emit("executions", "1")
    await asyncio.sleep(0)
    assert not reacted.is_set()

    live.emit("requests", "1")
    await asyncio.wait_for(reacted.wait(), timeout=5)


async def test_a_burst_of_changes_is_one_reaction_now_and_one_at_its_end() -> None:
    live, tab = Live(), Tab()
    first, go_on, second = asyncio.Event(), asyncio.Event(), asyncio.Event()
    reactions = 0

    async def react() -> None:
        nonlocal reactions
        reactions += 1
        (second if first.is_set() else first).set()
        await go_on.wait()

    live.follow(cast("Client", tab), frozenset({"executions"}), react, gap_s=0)
    live.emit("executions", "1")
    await asyncio.wait_for(first.wait(), timeout=5)
    for n in range(1000):
        live.emit("executions", str(n))
    go_on.set()
    await asyncio.wait_for(second.wait(), timeout=5)
    await asyncio.sleep(0)

    assert reactions == 2


async def test_a_browser_that_left_is_forgotten() -> None:
    live, tab = Live(), Tab()

    async def react() -> None:
        raise AssertionError("nobody looks any more")

    live.follow(cast("Client", tab), frozenset({"catalog"}), react, gap_s=0)
    tab.close()
    live.emit("catalog", "")
    await asyncio.sleep(0)

    assert live.follower_count == 0
