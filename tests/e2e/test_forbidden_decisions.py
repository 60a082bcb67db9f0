"""Approval parity: what may not be decided is refused alike on every path, and recorded."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.e2e.forbidden import (
    ATTEMPTS,
    CHANNELS,
    CLOSED_PATHS,
    PATHS,
    World,
    forbidden_world,
)
from tests.e2e.leaks import assert_tells_nothing_inside
from tests.instances import Installed
from tests.reviewing import Reviewer

CELLS = [
    pytest.param(path, what, id=f"{path}-{what}")
    for path in PATHS
    for what, attempt in ATTEMPTS.items()
    if attempt.elsewhere.get(path, "-")
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(instance: Installed, reviewer: Reviewer) -> AsyncGenerator[World]:
    async with forbidden_world(instance, reviewer) as made:
        yield made


@pytest.mark.parametrize(("path", "what"), CELLS)
async def test_i3_i4_a_forbidden_decision_is_refused_in_the_same_words_on_every_path(
    world: World, path: str, what: str
) -> None:
    attempt = ATTEMPTS[what]
    request = await world.request(attempt)
    before = await standing(world, request)
    recorded = len(await world.refusals(request))

    words = await PATHS[path](world, attempt, request, world.draft(attempt, request))

    by_the_rule = path not in CLOSED_PATHS and path not in attempt.elsewhere
    expected = (
        attempt.elsewhere.get(path, attempt.rule)
        if path not in CLOSED_PATHS
        else (CLOSED_PATHS[path])
    )
    assert expected in words
    assert_tells_nothing_inside(world.instance, words)
    assert await standing(world, request) == before
    events = (await world.refusals(request))[: -recorded or None]
    if by_the_rule and path in CHANNELS:
        [event] = events
        kind = "client" if attempt.by == "client" else "person"
        assert event["actor"] == f"{kind}:{world.people[attempt.by]}"
        assert event["facts"]["channel"] == CHANNELS[path]
        assert attempt.rule in event["detail"]


async def standing(world: World, request: dict[str, str]) -> dict[str, object]:
    """All of a request that a decision could change."""
    answer = await world.reviewer.api.get(f"/requests/{request['id']}")
    found = answer.json()
    return {name: found.get(name) for name in ("state", "state_reason", "decisions", "granted")}
