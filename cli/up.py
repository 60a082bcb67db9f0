"""``mcpbox up``: checks, then everything, in the foreground or left behind in the background."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from logging import Logger
from typing import IO

from cli import processes
from cli.announcements import (
    Announcement,
    Herald,
    PipeHerald,
    TerminalHerald,
    parse_announcement,
    text_of,
)
from cli.guard import GRACE_S, Guard
from cli.instance import Instance
from cli.logbook import file_log, last_lines, terminal_log
from cli.output import Exit, echo, echo_error, exit_of
from cli.ports import require_free
from cli.preparation import Made, prepare
from cli.runner import Step
from cli.services import PREPARED, databases_of, ports_of, services_of, statuses_of
from cli.state import InstanceState, ServiceStatus, running_state, write_state
from cli.supervisor import Supervisor
from mcpbox.domain.errors import Conflict, DomainError
from mcpbox.settings import Settings

BACKGROUND_COMMAND = (sys.executable, "-P", "-m", "cli.main", "up")
_LOCK_RETRY_S = 0.1
_END_TIMEOUT_S = 30


def up_in_foreground(settings: Settings) -> None:
    """Raises: DomainError: why it did not come up, or gave up later."""
    _up(Instance(settings), TerminalHerald(), terminal_log())


def up_for_parent(settings: Settings, announce_to: int) -> Exit:
    """The half of ``--detach`` that stays; what goes wrong is said by the parent, or the log."""
    instance = Instance(settings)
    herald = PipeHerald(announce_to)
    try:
        _up(instance, herald, file_log(instance.log_file))
    except DomainError as error:
        # Not heard when something was announced before.
        herald.announce(_failure(instance, error))
        return exit_of(error)
    return Exit.OK


def up_detached(settings: Settings) -> Exit:
    """Start it in the background and wait for it to be up, or to have failed."""
    instance = Instance(settings)
    instance.create_directories()
    reading, writing = os.pipe()
    with instance.log_file.open("ab") as log:
        log_start = log.tell()
        child = subprocess.Popen(  # noqa: S603 (arguments are fixed)
            [*BACKGROUND_COMMAND, "--announce-to", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
            start_new_session=True,
        )
    os.close(writing)
    try:
        with os.fdopen(reading) as stream:
            announcement = parse_announcement(stream.read())
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        child.wait()
        echo("Stopped before it was up.")
        return Exit.FAILED
    if announcement is None or announcement.problem:
        # It told us while it was on its way out: nothing is left when we say that it failed.
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_END_TIMEOUT_S)
    return _report(instance, announcement, log_start)


def _up(instance: Instance, herald: Herald, log: Logger) -> None:
    instance.create_directories()
    with instance.lock_file.open("w") as lock:
        _take(lock, instance)
        require_free(ports_of(instance))
        instance.create_secrets()
        guard = Guard(lock_fd=lock.fileno())
        try:
            asyncio.run(_supervise(instance, herald, log, guard))
        finally:
            guard.dismiss()


def _take(lock: IO[str], instance: Instance) -> None:
    """Raises: Conflict: another ``up`` holds this data directory."""
    # After a kill -9 the guard holds it, until nothing is left of that instance.
    deadline = time.monotonic() + 2 * GRACE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = running_state(instance.state_file)
            if running or time.monotonic() > deadline:
                who = f" (pid {running.supervisor_pid})" if running else ""
                raise Conflict(
                    f"MCPbox runs already on {instance.data_dir}{who}. Stop it with `mcpbox "
                    "down`, or set MCPBOX_DATA_DIR to another directory for a second one."
                ) from None
            time.sleep(_LOCK_RETRY_S)
        else:
            return


async def _supervise(instance: Instance, herald: Herald, log: Logger, guard: Guard) -> None:
    made = Made()
    announced = False

    async def run_preparation(wait_for_databases: Callable[[], Awaitable[None]]) -> None:
        nonlocal made
        made = await prepare(
            {**os.environ, **instance.preparation_environment()}, wait_for_databases, log
        )

    def announce_ready() -> None:
        nonlocal announced
        announced = True
        herald.announce(Announcement(instance.urls(), made))

    supervisor = Supervisor(
        services_of(instance),
        [Step(PREPARED, run_preparation, after=databases_of(instance))],
        log=log,
        watcher=guard,
        on_change=_state_keeper(instance),
        on_ready=announce_ready,
    )
    try:
        await supervisor.run()
    except DomainError as error:
        log.info("gave up: %s", error, extra={"service": "mcpbox"})
        if not announced:
            herald.announce(_failure(instance, error, made))
        raise


def _state_keeper(instance: Instance) -> Callable[[Sequence[ServiceStatus]], None]:
    me = processes.find_process(os.getpid())

    def keep(running: Sequence[ServiceStatus]) -> None:
        state = InstanceState(
            supervisor_pid=os.getpid(),
            supervisor_started_ticks=me.started_ticks if me else None,
            services=statuses_of(instance, running),
            urls=instance.urls(),
        )
        # A full disk must not take down what still runs.
        with suppress(OSError):
            write_state(instance.state_file, state)

    return keep


def _failure(instance: Instance, error: DomainError, made: Made | None = None) -> Announcement:
    return Announcement(
        instance.urls(), made or Made(), problem=str(error), exit_code=exit_of(error)
    )


def _report(instance: Instance, announcement: Announcement | None, log_start: int) -> Exit:
    if announcement and (text := text_of(announcement)):
        echo(text)
    if announcement and not announcement.problem:
        return Exit.OK
    if instance.log_file.stat().st_size > log_start:
        echo_error("\n".join(["The last lines of its log:", *last_lines(instance.log_file), ""]))
    if announcement is None:
        echo_error(f"MCPbox ended before it was up. Its log: {instance.log_file}")
        return Exit.FAILED
    echo_error(announcement.problem or "")
    return Exit(announcement.exit_code)
