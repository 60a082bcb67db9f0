"""One service for the whole life of its supervisor: start, watch, restart with back-off, stop."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from logging import Logger
from pathlib import Path
from typing import Protocol

from cli import processes
from cli.state import ServiceState, ServiceStatus
from mcpbox.domain.errors import DomainError

_LINE_MAX_BYTES = 16 * 1024
_STOP_GRACE_S = 10.0
_POLL_S = 0.02
_PROBE_TIMEOUT_S = 2.0


class KeepsFailing(DomainError):
    """A service failed so often in a row that another start would not help."""


@dataclass(frozen=True)
class Launch:
    argv: Sequence[str]
    env: Mapping[str, str]
    """All of it: nothing is inherited."""
    cwd: Path | None = None
    user: int | None = None
    group: int | None = None


@dataclass(frozen=True)
class Service:
    name: str
    launch: Callable[[], Awaitable[Launch]]
    """Called before every start."""
    ready: Callable[[int], Awaitable[bool]]
    """Whether the process with this pid does its work."""
    after: tuple[str, ...] = ()
    """Services and steps that must have been ready once."""
    stop_signal: signal.Signals = signal.SIGTERM
    ready_within: timedelta = timedelta(seconds=60)


@dataclass(frozen=True)
class Step:
    """Something done once, on the way up. What it raises ends the supervisor."""

    name: str
    run: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
    """Begins at once; awaits what its argument gives before it touches what it comes ``after``."""
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patience:
    """When a service is given up: ``failures`` in a row, each within ``stable`` of being ready."""

    failures: int = 6
    stable: timedelta = timedelta(seconds=5)
    first_delay: timedelta = timedelta(milliseconds=100)
    longest_delay: timedelta = timedelta(seconds=8)

    def delay_s(self, failures: int) -> float:
        wanted = self.first_delay * 2 ** max(0, failures - 1)
        return min(wanted, self.longest_delay).total_seconds()


class Watcher(Protocol):
    """Told of every process, so that it can end them should the supervisor be killed."""

    def watch(self, pid: int) -> None: ...
    def forget(self, pid: int) -> None: ...


class ServiceRunner:
    def __init__(
        self,
        service: Service,
        reached: asyncio.Event,
        *,
        log: Logger,
        watcher: Watcher,
        changed: Callable[[], None],
        patience: Patience,
    ) -> None:
        self.name = service.name
        self.needs = service.after
        self.status = ServiceStatus(name=service.name, state=ServiceState.STARTING)
        self.task: asyncio.Task[None] | None = None
        self._service = service
        self._reached = reached
        self._log = log
        self._watcher = watcher
        self._changed = changed
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._spawning = False
        self._stopping = False

    async def run(self, dependencies: Callable[[], Awaitable[None]]) -> None:
        """Raises: KeepsFailing, or what ``launch`` raises."""
        await dependencies()
        failures = 0
        while True:
            stable = await self._run_once()
            if self._stopping:
                return
            failures = 0 if stable else failures + 1
            if failures >= self._patience.failures:
                raise KeepsFailing(
                    f"{self.name} failed {failures} times in a row; its last lines above say why."
                )
            restarts = self.status.restarts + 1
            self._set(ServiceState.RESTARTING, pid=None, restarts=restarts)
            await asyncio.sleep(self._patience.delay_s(failures))

    async def stop(self) -> None:
        self._stopping = True
        # A start is never cut short: the process might have children already.
        if self._process:
            self._ask_to_stop(self._process)
        elif self.task and not self._spawning:
            self.task.cancel()
        if self.task:
            done, _ = await asyncio.wait([self.task], timeout=_STOP_GRACE_S)
            if not done:
                self._say(f"does not stop within {_STOP_GRACE_S:.0f} s; killed")
                self.kill()
                await asyncio.wait([self.task])
        self._set(ServiceState.STOPPED, pid=None)

    def kill(self) -> None:
        if self._process:
            for relative in processes.family({self._process.pid}):
                processes.kill(relative)

    def _ask_to_stop(self, process: asyncio.subprocess.Process) -> None:
        # Not by its own method, which may reap it: how it ended would then be lost.
        if found := processes.find_process(process.pid):
            processes.send_signal(found, self._service.stop_signal)

    async def _run_once(self) -> bool:
        """One life of the process; whether it was a good one."""
        launch = await self._service.launch()
        self._spawning = True
        try:
            process, lines = await _spawn(launch, dying_with=self._service.stop_signal)
        finally:
            self._spawning = False
        self._process = process
        self._watcher.watch(process.pid)
        self._set(self.status.state, pid=process.pid)
        self._say(f"started, pid {process.pid}")
        pump = asyncio.create_task(self._pump(lines))
        if self._stopping:
            self._ask_to_stop(process)
        try:
            return await self._watch(process)
        finally:
            # What it started in its session ends with it: a restart must find a clean place.
            for relative in processes.family({process.pid}):
                processes.kill(relative)
            self._watcher.forget(process.pid)
            self._process = None
            await asyncio.wait([pump], timeout=1)
            pump.cancel()

    async def _watch(self, process: asyncio.subprocess.Process) -> bool:
        ended = asyncio.create_task(process.wait())
        ready = await self._becomes_ready(process, ended)
        since = time.monotonic()
        if ready:
            self._set(ServiceState.READY)
            self._say("ready")
            self._reached.set()
        elif not ended.done():
            self._say(f"not ready within {self._service.ready_within.total_seconds():.0f} s")
            self.kill()
        code = await ended
        self._say(f"ended with {_meaning(code)}")
        return ready and time.monotonic() - since >= self._patience.stable.total_seconds()

    async def _becomes_ready(
        self, process: asyncio.subprocess.Process, ended: asyncio.Task[int]
    ) -> bool:
        deadline = time.monotonic() + self._service.ready_within.total_seconds()
        while not ended.done() and time.monotonic() < deadline:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    if await self._service.ready(process.pid):
                        return not ended.done()
            await asyncio.wait([ended], timeout=_POLL_S)
        return False

    async def _pump(self, lines: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await lines.read(_LINE_MAX_BYTES):
            *complete, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LINE_MAX_BYTES:
                complete.append(rest)
                rest = b""
            for line in complete:
                self._say(line.decode(errors="replace").rstrip())
        if rest:
            self._say(rest.decode(errors="replace"))

    def _set(self, state: ServiceState, **changes: int | None) -> None:
        self.status = self.status.model_copy(update={"state": state, **changes})
        self._changed()

    def _say(self, text: str) -> None:
        self._log.info("%s", text, extra={"service": self.name})


class StepRunner:
    def __init__(self, step: Step, reached: asyncio.Event) -> None:
        self.name = step.name
        self.needs = step.after
        self.task: asyncio.Task[None] | None = None
        self._step = step
        self._reached = reached

    async def run(self, dependencies: Callable[[], Awaitable[None]]) -> None:
        """Raises: whatever the step raises."""
        await self._step.run(dependencies)
        self._reached.set()

    async def stop(self) -> None:
        self.kill()
        if self.task:
            await asyncio.wait([self.task])

    def kill(self) -> None:
        if self.task:
            self.task.cancel()


async def _spawn(
    launch: Launch, *, dying_with: signal.Signals
) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader]:
    # A pipe of our own: asyncio's would make wait() depend on grandchildren that keep it open.
    reading, writing = os.pipe()
    lines = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(reading, "rb", 0)
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *launch.argv,
            env=launch.env,
            cwd=launch.cwd,
            user=launch.user,
            group=launch.group,
            extra_groups=None if launch.user is None else [],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
            preexec_fn=processes.dies_with_parent(dying_with),
        )
    except BaseException:
        transport.close()
        raise
    finally:
        os.close(writing)
    return process, lines


def _meaning(code: int) -> str:
    return f"code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"
