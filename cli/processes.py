"""Processes of the machine: who they descend from, and that none outlives us.

Only the standard library: the guard imports this, and it should stay small.
"""

import ctypes
import os
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
# Looked up here and not in the child, where only little is safe between fork and exec.
_PRCTL: Any = getattr(ctypes.CDLL(None), "prctl", None)


@dataclass(frozen=True)
class Process:
    """One line of ``/proc``; pid and start together are never reused."""

    pid: int
    parent: int
    session: int
    started_ticks: int


def dies_with_parent(wanted: signal.Signals) -> Callable[[], None]:
    """What a child runs before exec, so that the kernel signals it when this process dies.

    The kernel ties it to the thread that forks: start children from the main thread only.
    """
    parent = os.getpid()

    def prepare() -> None:
        if _PRCTL is None:
            return
        _PRCTL(_PR_SET_PDEATHSIG, int(wanted))
        # The parent may have died between fork and prctl; then no signal would ever come.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def family(roots: Collection[int]) -> list[Process]:
    """Living processes that are in a root's session or descend from a root, roots included."""
    processes = _living()
    parents = {process.pid: process.parent for process in processes}

    def belongs(process: Process) -> bool:
        if process.session in roots:
            return True
        pid = process.pid
        while pid > 1:
            if pid in roots:
                return True
            pid = parents.get(pid, 0)
        return False

    return [process for process in processes if belongs(process)]


def kill(process: Process) -> None:
    """SIGKILL, unless the pid belongs to somebody else by now."""
    if find_process(process.pid) == process:
        send_signal(process, signal.SIGKILL)


def send_signal(process: Process, wanted: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, wanted)


def find_process(pid: int) -> Process | None:
    """None also for a zombie: it runs nothing and holds nothing."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    # The name in brackets may itself contain spaces and brackets.
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]))


def is_alive(pid: int, started_ticks: int | None) -> bool:
    """Whether the process recorded as this pid and start still runs."""
    if started_ticks is not None:
        process = find_process(pid)
        return process is not None and process.started_ticks == started_ticks
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _living() -> list[Process]:
    with suppress(OSError):
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [process for pid in pids if (process := find_process(pid))]
    return []
