"""Granted modules as tools use them, and the fork servers that hold them."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from sandbox.admission import Busy
from sandbox.module_sets.names import is_reserved
from sandbox.module_sets.store import UnknownModuleSet
from tests.integration.sandbox.module_bench import (
    LAYERS,
    ONE,
    ModuleBench,
    importing,
    message_of,
    module_bench,
)
from tests.integration.sandbox.processes import below, wait_gone
from tests.integration.sandbox.wheels import native, pure


@pytest.fixture
def directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="modules-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
async def bench(directory: Path) -> AsyncGenerator[ModuleBench]:
    async with module_bench(directory) as bench:
        yield bench


@LAYERS
async def test_a_module_is_imported_with_what_it_needs(
    directory: Path, without: frozenset[str]
) -> None:
    greet = pure("greet", "from wording import WORD\ndef hello(name): return f'{WORD} {name}'\n")
    wording = pure("wording", "WORD = 'hello'\n")
    async with module_bench(directory, without=without) as bench:
        key = await bench.install(greet, wording)

        result = await bench.run(importing("greet", "greet.hello('ana')"), key, "greet")
        beside = await bench.run(importing("wording", "1"), key, "greet")

    assert result.result == "hello ana", result
    assert "wording" in message_of(beside)


@LAYERS
@pytest.mark.parametrize("guarded", [True, False])
async def test_machine_code_is_loaded_as_late_as_its_module_wants(
    directory: Path, without: frozenset[str], guarded: bool
) -> None:
    code = "import quick\nasync def main():\n    return quick.escaped('<a>')\n"
    early = f"import quick._speedups\n{code}"
    async with module_bench(directory, without=without) as bench:
        key = await bench.install(native())
        result = await bench.run(code, key, "quick", guarded=guarded)
        also = await bench.run(early, key, "quick", guarded=guarded)

    if without:  # there, files are out of reach once a tool runs
        assert "quick" in message_of(result)
    else:
        assert result.result == ["&lt;a&gt;", "so"], result
        assert also.result == result.result


@LAYERS
async def test_a_module_that_cannot_be_imported_says_why_where_it_is_used(
    directory: Path, without: frozenset[str]
) -> None:
    broken = pure("broken", "raise ValueError(f'not today: {__file__}')")
    async with module_bench(directory, without=without) as bench:
        key = await bench.install(broken, pure("fine", "X = 1"))

        used = await bench.run(importing("broken", "1"), key, "broken", "fine")
        unused = await bench.run(importing("fine", "fine.X"), key, "broken", "fine")

    said = message_of(used)
    assert "Module 'broken' cannot be imported here: ValueError: not today: …" in said
    assert str(directory) not in said
    assert used.error is not None
    assert used.error.line == 1
    assert unused.result == 1


async def test_all_that_a_fork_server_has_loaded_is_reserved(bench: ModuleBench) -> None:
    """Else a wheel could bring a module that is never imported: ours would be there already."""
    key = await bench.install(pure("fine", "X = 1"))
    code = "import sys\nasync def main():\n    return sorted(sys.modules)\n"

    loaded = await bench.run(code, key, guarded=False)

    tops = {name.partition(".")[0] for name in loaded.result}
    assert {name for name in tops if not is_reserved(name)} == {"fine"}


async def test_what_a_call_does_to_a_module_is_gone_in_the_next(bench: ModuleBench) -> None:
    key = await bench.install(pure("counter", "CALLS = []\ndef call(): CALLS.append(1)\n"))
    code = "import counter\nasync def main():\n    counter.call()\n    return len(counter.CALLS)\n"

    results = [await bench.run(code, key, "counter") for _ in range(3)]

    assert [result.result for result in results] == [1, 1, 1]


async def test_generators_of_random_numbers_are_seeded_anew_in_each_call(
    bench: ModuleBench,
) -> None:
    """numpy's would be the same in each of them: a fork does not tell it."""
    numbers = "import os\nSEEDS = []\ndef seed(): SEEDS.append(os.urandom(8).hex())\nseed()\n"
    code = "import generator\nasync def main():\n    return generator.SEEDS[-1]\n"
    renamed = f"import sys\n{numbers}sys.modules['numpy.random'] = sys.modules[__name__]\n"
    key = await bench.install(pure("generator", renamed))

    drawn = {(await bench.run(code, key, "generator", guarded=False)).result for _ in range(3)}

    assert len(drawn) == 3


async def test_a_set_that_is_not_installed_is_not_run(bench: ModuleBench) -> None:
    with pytest.raises(UnknownModuleSet):
        await bench.run(ONE, f"sha256:{'0' * 64}")


def change(directory: Path) -> None:
    [file] = directory.glob("module-sets/*/files/fine.py")
    file.chmod(0o644)
    file.write_text("X = 2\n")


async def test_a_set_that_was_changed_on_disk_is_not_run(
    bench: ModuleBench, directory: Path
) -> None:
    key = await bench.install(pure("fine", "X = 1\n"))
    change(directory)

    with pytest.raises(UnknownModuleSet):
        await bench.run(importing("fine", "fine.X"), key, "fine")


async def test_the_processes_of_an_idle_server_end(directory: Path) -> None:
    async with module_bench(directory, idle_s=0.5) as bench:
        base = set(below(os.getpid()))
        key = await bench.install(pure("fine", "X = 1\n"))
        first = await bench.run(importing("fine", "fine.X"), key, "fine")
        own = set(below(os.getpid())) - base
        await wait_gone(own)
        again = await bench.run(importing("fine", "fine.X"), key, "fine")

    assert first.result == again.result == 1
    assert own


WAITING = """
import asyncio, fine
async def main():
    print("waiting")
    await asyncio.sleep(60)
"""


async def test_a_server_in_use_makes_no_room_and_an_idle_one_does(directory: Path) -> None:
    async with module_bench(directory, max_count=1) as bench:
        key = await bench.install(pure("fine", "X = 1\n"))
        waiting = asyncio.Event()
        held = asyncio.create_task(
            bench.run(WAITING, key, "fine", server="ana", on_output=lambda _: waiting.set())
        )
        async with asyncio.timeout(30):
            await waiting.wait()

        with pytest.raises(Busy, match="in use"):
            await bench.run(importing("fine", "1"), key, "fine", server="ben")
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        result = await bench.run(importing("fine", "1"), key, "fine", server="ben")

        assert result.result == 1
        assert bench.modules.count == 1


async def test_a_fork_server_that_dies_is_started_again_by_the_next_call(
    bench: ModuleBench,
) -> None:
    base = set(below(os.getpid()))
    key = await bench.install(pure("fine", "X = 1\n"))
    await bench.run(importing("fine", "1"), key, "fine")
    old = [pid for pid in below(os.getpid()) if pid not in base]

    os.kill(old[0], signal.SIGKILL)
    await wait_gone(old)
    result = await bench.run(importing("fine", "fine.X"), key, "fine")

    assert result.result == 1
