"""Resource limits: those that are the same for every child, and those of one call."""

import os
import resource

MAX_DESCRIPTORS = 256
REPORT_BYTES = 16 * 2**20
"""Kept back from a tool that used up its memory, so that the child can still say so."""
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


def set_call_limits(*, address_space_bytes: int, memory_bytes: int, cpu_s: int) -> None:
    """Hard limits only go down, so the tool cannot undo this.

    The soft CPU limit signals (SIGXCPU); the hard one, a second later, kills who ignores that.
    """
    allowed = address_space_bytes + memory_bytes
    _lower(resource.RLIMIT_AS, allowed, allowed + REPORT_BYTES)
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
