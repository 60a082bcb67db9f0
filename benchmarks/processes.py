"""What processes cost: resident memory and CPU time, from ``/proc``."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cli.processes import family

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def members(root: int) -> set[int]:
    """Pids of a process and of all that descend from it."""
    return {process.pid for process in family([root])}


def resident_bytes(pids: Iterable[int]) -> int:
    """Sum of the proportional set sizes: a shared page counts once, divided among its users."""
    return sum(map(_resident_bytes, pids))


def cpu_s(root: int) -> float:
    """Used by a process, by all that descend from it, and by those of them that have ended."""
    return sum(map(_cpu_ticks, members(root))) * _TICK_S


def _resident_bytes(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except PermissionError:
            # Locked-down children hide from their own user; what they share then counts in full.
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _cpu_ticks(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        # The name in brackets may itself contain spaces and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))
    return 0
