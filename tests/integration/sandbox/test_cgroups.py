"""The cgroup around all tools together: it bounds them, and ends with the service."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.lockdown import cgroups, hierarchies
from sandbox.lockdown.cgroups import Bounds, Cgroup, NoCgroup
from tests.integration.sandbox.processes import fork_server_below, wait_gone
from tests.integration.sandbox.running import ROOT, running

BOUNDS = Bounds(memory_bytes=64 * 2**20, processes=4)
WAITING = "import sys; sys.stdin.readline(); "
ONE = "async def main():\n    return 1\n"


@pytest.fixture
def cgroup() -> Generator[Cgroup]:
    made = cgroups.attempt(BOUNDS)
    if isinstance(made, NoCgroup):
        pytest.skip(str(made))
    yield made
    made.remove()


def all_there() -> list[Path]:
    """Of every service on this machine that shares our place."""
    found = hierarchies.find(("memory", "pids"))
    bases = found.bases if found else ()
    around = {*bases, *(base.parent for base in bases)}
    return [one for base in around for one in base.glob("mcpbox-sandbox-*")]


def holding(pid: int) -> list[Path]:
    found: list[Path] = []
    for one in all_there():
        with suppress(FileNotFoundError):  # another service has just ended
            if str(pid) in (one / "cgroup.procs").read_text().split():
                found.append(one)
    return found


def adopted(cgroup: Cgroup, code: str) -> subprocess.Popen[bytes]:
    """Runs ``code`` once it is told to, by a line."""
    process = subprocess.Popen(  # noqa: S603  our own interpreter and code
        [sys.executable, "-c", WAITING + code], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    cgroup.adopt([process.pid])
    return process


def test_who_was_moved_in_is_held_and_nobody_else(cgroup: Cgroup) -> None:
    with adopted(cgroup, "") as process:
        assert cgroup.holds([process.pid])
        assert not cgroup.holds([process.pid, os.getpid()])
        process.communicate(b"\n", timeout=20)


def test_memory_beyond_the_bound_ends_who_wants_it(cgroup: Cgroup) -> None:
    with adopted(cgroup, f"bytearray({4 * BOUNDS.memory_bytes})") as process:
        process.communicate(b"\n", timeout=20)

    assert process.returncode == -9


def test_no_more_processes_than_the_bound(cgroup: Cgroup) -> None:
    code = "import os, signal\nfor _ in range(20):\n    os.fork() or signal.pause()"

    with adopted(cgroup, f"exec({code!r})") as process:
        process.communicate(b"\n", timeout=20)

    assert process.returncode == 1  # BlockingIOError: the fork was refused
    cgroup.remove()


async def test_its_end_is_the_end_of_all_inside(cgroup: Cgroup) -> None:
    with adopted(cgroup, "") as process:
        await asyncio.gather(asyncio.to_thread(cgroup.remove), wait_gone([process.pid]))


def test_what_a_service_left_behind_is_cleared_away_but_nothing_of_a_living_one(
    cgroup: Cgroup,
) -> None:
    dying = (
        "import os; from sandbox.lockdown import cgroups; "
        f"made = cgroups.make(cgroups.{BOUNDS!r}); "
        "print(*(place.directory for place in vars(made)['_places']), flush=True); os._exit(0)"
    )
    with adopted(cgroup, "") as process:
        said = subprocess.check_output([sys.executable, "-c", dying], cwd=ROOT, timeout=20)  # noqa: S603
        left = [Path(one) for one in said.decode().split()]
        assert all(one.exists() for one in left)

        cgroups.make(BOUNDS).remove()

        assert left
        assert not any(one.exists() for one in left)
        assert cgroup.holds([process.pid])
        process.communicate(b"\n", timeout=20)


@pytest.mark.usefixtures("cgroup")
async def test_a_service_measures_that_its_tools_are_inside(tmp_path: Path) -> None:
    async with running(tmp_path, {"REQUIRE": "cgroup"}) as service:
        layers = {layer.name: layer for layer in (await service.health()).layers}
        ran = await service.run(ONE)
        places = holding(fork_server_below(service.process.pid))

    assert layers["cgroup"].active
    assert "GiB" in layers["cgroup"].detail
    assert ran.result == 1
    assert places
    assert not any(place.exists() for place in places)


@pytest.mark.usefixtures("cgroup")
async def test_a_new_fork_server_is_inside_as_well(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        old = fork_server_below(service.process.pid)
        places = holding(old)
        os.kill(old, signal.SIGKILL)
        await wait_gone([old])
        again = await service.run(ONE)
        new = fork_server_below(service.process.pid)

        assert again.result == 1
        assert places
        assert holding(new) == places
