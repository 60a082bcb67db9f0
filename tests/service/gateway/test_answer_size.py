"""What is too large for a client's protocol library is an error that says so, in both eras."""

import json

import pytest

from gateway.answers import ANSWER_MAX_BYTES
from sandbox.contract import RunResult
from tests.service.gateway.factories import a_callable, a_version
from tests.service.gateway.running import RunningGateway, text_of
from tests.service.gateway.world import World


@pytest.fixture
async def released(gateway: RunningGateway, world: World) -> RunningGateway:
    world.release(a_callable(a_version()))
    await gateway.caught_up()
    return gateway


@pytest.mark.parametrize("size", [100_000, 900_000])
async def test_a_large_result_arrives_whole(
    released: RunningGateway, world: World, era: str, size: int
) -> None:
    world.sandbox.result = RunResult(ok=True, result={"text": "x" * size}, duration_ms=1)
    async with released.client(era) as client:
        answered = await client.call_tool("calc__add", {"a": 1})

    assert not answered.is_error
    assert json.loads(text_of(answered)) == {"text": "x" * size}
    assert (answered.structured_content is None) == (size > 200_000)


@pytest.mark.parametrize("result", ["x" * 1_000_000, "\x01" * 200_000], ids=["long", "escaped"])
async def test_a_result_that_no_client_takes_is_an_error_with_its_size_and_what_to_do(
    released: RunningGateway, world: World, era: str, result: str
) -> None:
    world.sandbox.result = RunResult(ok=True, result=result, duration_ms=1)
    async with released.client(era) as client:
        answered = await client.call_tool("calc__add", {"a": 1})

    assert answered.is_error
    assert answered.structured_content is not None
    assert answered.structured_content["error"]["code"] == "too_large"
    assert f"clients take {ANSWER_MAX_BYTES} at most. Ask for less" in text_of(answered)
