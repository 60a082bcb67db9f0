"""The supervisor with real, tiny processes."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import processes
from cli.runner import KeepsFailing, Launch, Patience, Service, Step
from cli.state import ServiceState, ServiceStatus
from cli.supervisor import Supervisor
from mcpbox.domain.errors import Refused
from tests.integration.cli.conftest import eventually

HASTE = Patience(failures=3, first_delay=timedelta(milliseconds=10))
FOREVER = "import time; print('here', flush=True); time.sleep(600)"


class Ledger:
    """What the supervisor told, in the order it was told."""

    def __init__(self) -> None:
        self.watched: set[int] = set()
        self.lines: list[str] = []
        self.statuses: dict[str, ServiceStatus] = {}
        self.ready = asyncio.Event()
        self.changed = asyncio.Event()
        self.log = logging.Logger("ledger")  # noqa: LOG001 (of this test alone)
        handler = logging.Handler()
        handler.emit = self._emit
        self.log.addHandler(handler)

    def watch(self, pid: int) -> None:
        self.watched.add(pid)

    def forget(self, pid: int) -> None:
        self.watched.discard(pid)

    def supervisor(self, services: list[Service], steps: list[Step] | None = None) -> Supervisor:
        return Supervisor(
            services,
            steps or [],
            log=self.log,
            watcher=self,
            on_change=self._note,
            on_ready=self.ready.set,
            patience=HASTE,
        )

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def _note(self, statuses: list[ServiceStatus]) -> None:
        self.statuses = {status.name: status for status in statuses}
        self.changed.set()

    def _emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.__dict__['service']} {record.getMessage().split(',')[0]}")
        self.changed.set()


def a_service(
    name: str,
    code: str = FOREVER,
    *,
    after: tuple[str, ...] = (),
    ready: Callable[[int], Awaitable[bool]] | None = None,
) -> Service:
    async def launch() -> Launch:
        return Launch((sys.executable, "-c", code), dict(os.environ))

    async def at_once(_pid: int) -> bool:
        return True

    return Service(name, launch=launch, ready=ready or at_once, after=after)


async def test_a_service_starts_only_when_what_it_needs_is_ready() -> None:
    ledger = Ledger()
    opened = asyncio.Event()

    async def ready(_pid: int) -> bool:
        return opened.is_set()

    services = [a_service("face", after=("database",)), a_service("database", ready=ready)]
    supervisor = ledger.supervisor(services)
    running = asyncio.create_task(supervisor.run())
    await ledger.until(lambda: "database started" in ledger.lines)
    assert "face started" not in ledger.lines
    opened.set()
    await asyncio.wait_for(ledger.ready.wait(), 10)
    supervisor.stop()
    await asyncio.wait_for(running, 10)

    assert ledger.lines.index("database ready") < ledger.lines.index("face started")


async def test_services_stop_in_reverse_and_nothing_is_left() -> None:
    ledger = Ledger()
    services = [
        a_service("database"),
        a_service("worker", after=("database",)),
        a_service("face", after=("worker",)),
    ]
    supervisor = ledger.supervisor(services)
    running = asyncio.create_task(supervisor.run())
    await asyncio.wait_for(ledger.ready.wait(), 10)
    pids = {status.pid for status in ledger.statuses.values() if status.pid}
    supervisor.stop()
    await asyncio.wait_for(running, 10)

    ended = [line.split()[0] for line in ledger.lines if "ended" in line]
    assert ended == ["face", "worker", "database"]
    assert len(pids) == 3
    assert not processes.family(pids)
    assert not ledger.watched
    assert {status.state for status in ledger.statuses.values()} == {ServiceState.STOPPED}


async def test_a_killed_service_is_started_again_and_its_children_are_not_left() -> None:
    ledger = Ledger()
    code = "import subprocess; subprocess.Popen(['sleep', '600']); " + FOREVER
    supervisor = ledger.supervisor([a_service("worker", code)])
    running = asyncio.create_task(supervisor.run())
    await ledger.until(lambda: "worker here" in ledger.lines)
    first = ledger.statuses["worker"].pid
    assert first
    assert len(processes.family({first})) == 2
    os.kill(first, signal.SIGKILL)
    await ledger.until(lambda: ledger.statuses["worker"].pid not in (None, first))
    await ledger.until(lambda: ledger.statuses["worker"].state is ServiceState.READY)
    supervisor.stop()
    await asyncio.wait_for(running, 10)

    assert ledger.statuses["worker"].restarts == 1
    assert not processes.family({first})


async def test_a_service_that_keeps_failing_ends_everything_with_a_reason() -> None:
    ledger = Ledger()
    failing = a_service("worker", "print('no such table'); raise SystemExit(3)")
    supervisor = ledger.supervisor([a_service("database"), failing])

    with pytest.raises(KeepsFailing, match="worker failed 3 times in a row"):
        await asyncio.wait_for(supervisor.run(), 10)

    assert ledger.lines.count("worker started") == 3
    assert "worker no such table" in ledger.lines
    assert "worker ended with code 3" in ledger.lines
    assert ledger.statuses["database"].state is ServiceState.STOPPED
    assert not ledger.watched


async def test_a_service_that_never_gets_ready_is_ended() -> None:
    ledger = Ledger()

    async def never(_pid: int) -> bool:
        return False

    async def launch() -> Launch:
        return Launch((sys.executable, "-c", FOREVER), dict(os.environ))

    hanging = Service("worker", launch, never, ready_within=timedelta(milliseconds=100))
    with pytest.raises(KeepsFailing):
        await asyncio.wait_for(ledger.supervisor([hanging]).run(), 10)
    assert "worker not ready within 0 s" in ledger.lines


async def test_a_step_runs_between_what_it_needs_and_what_needs_it() -> None:
    ledger = Ledger()

    async def migrate(dependencies: Callable[[], Awaitable[None]]) -> None:
        ledger.lines.append("step loaded")
        await dependencies()
        ledger.lines.append("step done")

    supervisor = ledger.supervisor(
        [a_service("database"), a_service("face", after=("prepared",))],
        [Step("prepared", migrate, after=("database",))],
    )
    running = asyncio.create_task(supervisor.run())
    await asyncio.wait_for(ledger.ready.wait(), 10)
    supervisor.stop()
    await asyncio.wait_for(running, 10)

    order = ["step loaded", "database ready", "step done", "face started"]
    assert [line for line in ledger.lines if line in order] == order


async def test_a_failed_step_stops_what_runs_and_says_why() -> None:
    ledger = Ledger()

    async def migrate(dependencies: Callable[[], Awaitable[None]]) -> None:
        await dependencies()
        raise Refused("The schema is newer than this version.")

    supervisor = ledger.supervisor(
        [a_service("database"), a_service("face", after=("prepared",))],
        [Step("prepared", migrate, after=("database",))],
    )
    with pytest.raises(Refused, match="newer"):
        await asyncio.wait_for(supervisor.run(), 10)

    assert "face started" not in ledger.lines
    assert ledger.statuses["database"].state is ServiceState.STOPPED


async def test_asking_twice_kills_what_does_not_want_to_stop() -> None:
    ledger = Ledger()
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOREVER
    supervisor = ledger.supervisor([a_service("worker", stubborn)])
    running = asyncio.create_task(supervisor.run())
    await ledger.until(lambda: "worker here" in ledger.lines)
    supervisor.stop()
    await asyncio.sleep(0)
    assert not running.done()
    supervisor.stop()
    await asyncio.wait_for(running, 5)

    assert "worker ended with signal 9 (Killed)" in ledger.lines


async def test_a_stop_in_the_middle_of_a_start_leaves_no_grandchild(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = Ledger()
    born: list[int] = []
    start = asyncio.create_subprocess_exec

    async def start_slowly(*argv: str, **options: Any) -> asyncio.subprocess.Process:
        process = await start(*argv, **options)
        born.append(process.pid)
        await asyncio.to_thread(eventually, lambda: len(processes.family({process.pid})) == 2)
        supervisor.stop()
        await asyncio.sleep(0.05)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_slowly)
    code = "import subprocess; subprocess.Popen(['sleep', '600']); " + FOREVER
    supervisor = ledger.supervisor([a_service("worker", code)])
    await asyncio.wait_for(supervisor.run(), 10)

    assert born
    assert not processes.family(set(born))


async def test_a_line_without_an_end_is_cut_and_does_not_fill_the_memory() -> None:
    ledger = Ledger()
    code = "import sys, time; sys.stdout.write('x' * 300_000); sys.stdout.flush(); time.sleep(600)"
    supervisor = ledger.supervisor([a_service("worker", code)])
    running = asyncio.create_task(supervisor.run())
    await ledger.until(lambda: sum(line.count("x") for line in ledger.lines) > 200_000)
    supervisor.stop()
    await asyncio.wait_for(running, 10)

    assert max(map(len, ledger.lines)) < 50_000


async def test_the_guard_ends_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    """A service that ignores being asked, and its child, go too."""
    stubborn = (
        "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "subprocess.Popen(['sleep', '600']); " + FOREVER
    )
    program = tmp_path / "supervisor.py"
    program.write_text(
        "import subprocess, sys, signal, os\n"
        "from cli import processes\n"
        "from cli.guard import Guard\n"
        "guard = Guard(lock_fd=0)\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True,\n"
        "    preexec_fn=processes.dies_with_parent(signal.SIGTERM), stdout=subprocess.PIPE)\n"
        "guard.watch(child.pid)\n"
        "child.stdout.readline()\n"
        "print(child.pid, guard.pid, flush=True)\n"
        "signal.pause()\n"
    )
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), stubborn),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert supervisor.stdout
    child, guard = map(int, (await supervisor.stdout.readline()).split())
    assert len(processes.family({child})) == 2
    supervisor.kill()
    await supervisor.wait()

    await asyncio.to_thread(eventually, lambda: not processes.family({child}))
    await asyncio.to_thread(eventually, lambda: processes.find_process(guard) is None)
