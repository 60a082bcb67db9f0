"""Resource limits: those that are the same for every child, and those of one call."""

import math
import os
import resource

MAX_DESCRIPTORS = 256
REPORT_BYTES = 16 * 2**20
"""Kept back from a tool that used up its memory, so that the child can still say so."""
RESIDENT_CPU_S = 3600
"""Of a process that serves many calls, in all."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def set_fixed_limits() -> None:
    """Before a child knows its job. Nothing can be written to a file, whatever the file system."""
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, 64),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
    ):
        _lower(limit, value, value)


def set_unpacking_limits(*, memory_bytes: int, cpu_s: int, file_bytes: int) -> None:
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(limit, value, value)


def set_import_limits(*, address_space_bytes: int, memory_bytes: int, processes: int) -> None:
    """While modules are imported: no process, and so much memory; until the end: twice that memory.

    ``processes``: of this user at once, once :func:`end_import` was called.
    """
    allowed = address_space_bytes + memory_bytes
    _lower(resource.RLIMIT_AS, allowed, allowed + memory_bytes)
    _lower(resource.RLIMIT_NPROC, 0, processes)
    _lower(resource.RLIMIT_CORE, 0, 0)
    _lower(resource.RLIMIT_FSIZE, 0, 0)
    _lower(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS, MAX_DESCRIPTORS)


def end_import() -> None:
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_NPROC):
        hard = resource.getrlimit(limit)[1]
        resource.setrlimit(limit, (hard, hard))


def leave_processes_to_others() -> None:
    """For a process that may have threads: its user can still fork when it has all it may have."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if hard != resource.RLIM_INFINITY:
        _lower(resource.RLIMIT_NPROC, hard // 2, hard // 2)


def set_call_limits(
    *, address_space_bytes: int, memory_bytes: int, cpu_s: int, resident: bool = False
) -> None:
    """Hard limits only go down, so the tool cannot undo this.

    The soft CPU limit signals (SIGXCPU); the hard one, a second later, kills who ignores that. A
    ``resident`` has more than one call to serve, so only the soft one moves with them, and the
    service has to look after who raises it.
    """
    allowed = address_space_bytes + memory_bytes
    _lower(resource.RLIMIT_AS, allowed, allowed + REPORT_BYTES)
    if resident:
        spent = resource.getrusage(resource.RUSAGE_SELF)
        soft = math.ceil(spent.ru_utime + spent.ru_stime) + cpu_s
        _lower(resource.RLIMIT_CPU, soft, RESIDENT_CPU_S)
    else:
        _lower(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)


def release_report_memory() -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def address_space_bytes(statm: int) -> int:
    """``statm``: an open ``/proc/self/statm``; the path may be out of reach by now."""
    return int(os.pread(statm, 200, 0).split()[0]) * _PAGE_BYTES


def _lower(limit: int, soft: int, hard: int) -> None:
    highest = resource.getrlimit(limit)[1]
    if highest != resource.RLIM_INFINITY:
        hard = min(hard, highest)
    resource.setrlimit(limit, (min(soft, hard), hard))
