"""I7: ``kill -9`` of any process, at any point, loses nothing and does nothing twice."""

import asyncio

import pytest

from tests.e2e.crashing import SERVICES, count, held_up, is_decided, killed_and_back
from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer, eventually


@pytest.mark.timeout(120)
@pytest.mark.parametrize("victim", [*SERVICES, "all"])
async def test_i7_a_waiting_request_survives_kill_9_and_is_applied_exactly_once(
    crashing: Installed, victim: str
) -> None:
    async with author_on(crashing) as author:
        draft = await author.draft()
        request_id = await author.ask(draft, sample_arguments={"a": 1})
        async with crashing.api() as api:
            await Reviewer(api).when(request_id, "awaiting_decision")

    await killed_and_back(crashing, victim)

    async with crashing.api() as api:
        assert (await Reviewer(api).approve(request_id))["state"] == "applied"
    await assert_released_once(crashing, request_id)
    async with author_on(crashing) as author:
        assert await author.call(draft.callable_name, a=1) == {"sum": 3}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("victim", [*SERVICES, "all"])
async def test_i7_kill_9_between_decision_and_effect_still_applies_exactly_once(
    crashing: Installed, victim: str
) -> None:
    """The effect is held up in the database, so that the kill falls between the two."""
    async with author_on(crashing) as author:
        draft = await author.draft()
        request_id = await author.ask(draft, sample_arguments={"a": 1})
    async with crashing.api() as api:
        reviewer = Reviewer(api)
        request = await reviewer.when(request_id, "awaiting_decision")
        async with held_up(crashing, "releases"):
            deciding = asyncio.create_task(reviewer.decide(request))
            await eventually(lambda: is_decided(crashing, request_id))
            await killed_and_back(crashing, victim)
        # The caller may have been cut off; the decision may not.
        await asyncio.gather(deciding, return_exceptions=True)

    async with crashing.api() as api:
        await Reviewer(api).when(request_id, "applied")
    await assert_released_once(crashing, request_id)
    async with author_on(crashing) as author:
        assert await author.call(draft.callable_name, a=1) == {"sum": 3}


async def assert_released_once(crashing: Installed, request_id: str) -> None:
    assert await count(crashing, "decisions", request_id) == 1
    assert await count(crashing, "releases", request_id) == 1
