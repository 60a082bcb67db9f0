"""Every limit bites, alone, with its own kind and a message that says what to do."""

import pytest

from sandbox.contract import ErrorKind
from tests.integration.sandbox.running import RunningService

BODY = "async def main():\n"


async def failure(
    service: RunningService, body: str, limits: dict[str, float] | None = None
) -> tuple[ErrorKind, str]:
    result = await service.run(BODY + body, limits=limits)
    assert not result.ok
    assert result.error is not None
    return result.error.kind, result.error.message


@pytest.mark.parametrize(
    "body",
    [
        "    return len(bytearray(300 * 2**20))\n",
        "    kept = []\n    while True: kept.append('x' * 10_000 + str(len(kept)))\n",
        "    kept = []\n    while True: kept.append([len(kept)])\n",
    ],
)
async def test_memory(service: RunningService, body: str) -> None:
    kind, message = await failure(service, body)

    assert kind == ErrorKind.MEMORY
    assert "256 MB" in message


async def test_memory_as_the_caller_sets_it(service: RunningService) -> None:
    body = "    return len(bytearray(48 * 2**20))\n"

    assert (await service.run(BODY + body, limits={"memory_bytes": 64 * 2**20})).ok
    kind, message = await failure(service, body, limits={"memory_bytes": 32 * 2**20})
    assert kind == ErrorKind.MEMORY
    assert "32 MB" in message


async def test_cpu(service: RunningService) -> None:
    kind, message = await failure(
        service, "    while True: pass\n", limits={"cpu_s": 1, "wall_s": 20}
    )

    assert kind == ErrorKind.CPU
    assert "1 s of CPU time" in message


async def test_wall(service: RunningService) -> None:
    result = await service.run(BODY + "    while True: pass\n", limits={"wall_s": 0.3})

    assert result.error is not None
    assert result.error.kind == ErrorKind.WALL
    assert "0.3 s" in result.error.message


async def test_what_was_printed_before_the_limit_is_kept(service: RunningService) -> None:
    result = await service.run(
        BODY + "    print('got this far')\n    while True: pass\n", limits={"wall_s": 0.3}
    )

    assert result.stdout == "got this far\n"


async def test_stdout_is_truncated_with_a_note(service: RunningService) -> None:
    result = await service.run(
        BODY + "    print('é' * 100)\n    return 1\n", limits={"stdout_bytes": 11}
    )

    assert result.ok
    assert result.stdout == "ééééé\n[output truncated: the limit is 11 bytes]"


async def test_a_flood_of_output_costs_no_more_than_the_limit(service: RunningService) -> None:
    result = await service.run(BODY + "    for i in range(100_000): print(i)\n")

    assert result.ok
    assert len(result.stdout.encode()) < 2**16 + 100


async def test_result_size(service: RunningService) -> None:
    kind, message = await failure(service, "    return 'x' * 2_000_000\n")

    assert kind == ErrorKind.BAD_RESULT
    assert "2000002 bytes" in message
    assert "1048576" in message


@pytest.mark.parametrize("depth", [101, 5000])
async def test_result_depth(service: RunningService, depth: int) -> None:
    body = f"    value = []\n    for _ in range({depth}): value = [value]\n    return value\n"

    kind, message = await failure(service, body)

    assert kind == ErrorKind.BAD_RESULT
    assert "nested" in message


@pytest.mark.parametrize("value", ["object()", "'\\ud800'", "{(1, 2): 3}", "10**5000"])
async def test_a_result_must_be_json(service: RunningService, value: str) -> None:
    kind, message = await failure(service, f"    return {value}\n")

    assert kind == ErrorKind.BAD_RESULT
    assert "JSON" in message


async def test_a_result_that_only_just_is_json_is_returned(service: RunningService) -> None:
    nested = "[" * 99 + "]" * 99
    code = f"{BODY}    return [10**4000, 1e308 * 10, float('nan'), 'é😀', {nested}]\n"

    result = await service.run(code, limits={"memory_bytes": 2**24})

    assert result.ok
    assert result.result[:4] == [10**4000, None, None, "é😀"]


async def test_a_result_whose_conversion_raises_is_no_json(service: RunningService) -> None:
    code = """
class Sly(dict):
    def items(self):
        raise ZeroDivisionError("sly")
async def main():
    return Sly(a=1)
"""
    result = await service.run(code)

    assert result.error is not None
    assert result.error.kind == ErrorKind.BAD_RESULT
    assert "sly" in result.error.message


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("(lambda f: f(f))(lambda f: f(f))", "RecursionError"),
    ],
)
async def test_whatever_is_raised_is_told(
    service: RunningService, statement: str, said: str
) -> None:
    kind, message = await failure(service, f"    {statement}\n")

    assert kind == ErrorKind.RAISED
    assert message.startswith(said)
