"""Landlock: which paths may be read, and at most one filled; nothing may be run or connected.

Source: https://docs.kernel.org/userspace-api/landlock.html
"""

import os
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress

from sandbox.lockdown.kernel import prepared, syscall

_VERSION_QUERY = 1
_RULE_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 2, 4, 8
_MAKE_DIR, _MAKE_REGULAR = 128, 256
_FIRST_RIGHTS = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 8192, 16384, 32768
_BIND_AND_CONNECT_TCP = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def abi() -> int:
    """0 where the kernel has none. Asked by system call: what sysfs says is wrong on some hosts."""
    with suppress(OSError):
        return syscall("landlock_create_ruleset", None, 0, _VERSION_QUERY)
    return 0


def open_ruleset(readable: Iterable[str], *, fillable: int | None = None) -> int:
    """A descriptor for :func:`restrict`, usable by many processes, each time as a fresh domain.

    Open it before the uid is dropped: the paths may lie below a directory closed to others.
    ``fillable``: an open directory in which files and folders may be made.
    """
    version = abi()
    if version < 1:
        raise OSError("the kernel has no Landlock")
    handled = _FIRST_RIGHTS
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    handled |= _IOCTL_DEV if version >= 5 else 0
    network = _BIND_AND_CONNECT_TCP if version >= 4 else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("<QQQ", handled, network, scoped)
    ruleset = syscall("landlock_create_ruleset", attributes, size, 0)
    try:
        for path in readable:
            _allow_reading(ruleset, path)
        if fillable is not None:
            _allow_beneath(ruleset, fillable, _WRITE_FILE | _MAKE_DIR | _MAKE_REGULAR)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def restrict(ruleset: int) -> None:
    """For good, for this process and its children. Needs ``no_new_privileges``."""
    prepared_restrict(ruleset)()


def prepared_restrict(ruleset: int) -> Callable[[], int]:
    """:func:`restrict` for later."""
    return prepared("landlock_restrict_self", ruleset, 0)


def _allow_reading(ruleset: int, path: str) -> None:
    access = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _allow_beneath(ruleset, beneath, access)
    finally:
        os.close(beneath)


def _allow_beneath(ruleset: int, beneath: int, access: int) -> None:
    rule = struct.pack("<Qi", access, beneath)
    syscall("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
