"""What a process may still become: uid, capabilities, and whether others may look into it."""

import errno
import os
import signal
import struct
from collections.abc import Callable
from contextlib import suppress

from sandbox.lockdown.kernel import prepared, syscall

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_UNPRIVILEGED_ID = 64321


def no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(parent_pid: int | None = None) -> None:
    """A change of uid resets this: call it again afterwards.

    ``parent_pid``, where it is known, closes the race with a parent that is already gone.
    """
    prepared_die_with_parent()()
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(0)


def prepared_die_with_parent() -> Callable[[], int]:
    """:func:`die_with_parent` for later."""
    return prepared("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def hide_from_same_user() -> None:
    """No core, no ptrace, no ``/proc/<pid>/environ`` or ``mem`` for processes of the same user."""
    _prctl(_PR_SET_DUMPABLE, 0)


def drop_uid(offset: int = 0) -> None:
    """From root to an id that owns nothing; each ``offset`` leads to another."""
    user = _UNPRIVILEGED_ID + offset
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def give_away(file: int) -> None:
    """Where we are root: to whom :func:`drop_uid` leads."""
    with suppress(PermissionError):  # root without that capability cannot drop its uid either
        if os.geteuid() == 0:
            os.fchown(file, _UNPRIVILEGED_ID, _UNPRIVILEGED_ID)


def drop_capabilities() -> None:
    for capability in range(64):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:  # past the last one this kernel knows
                break
            if error.errno != errno.EPERM:
                raise
    header = struct.pack("<II", _CAPABILITY_VERSION_3, 0)
    syscall("capset", header, struct.pack("<6I", 0, 0, 0, 0, 0, 0))


def _prctl(option: int, value: int) -> None:
    syscall("prctl", option, value, 0, 0, 0)
