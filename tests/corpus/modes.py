"""The modes: as whom the sandbox runs, and which of its layers the machine denies it.

``python -m tests.corpus.modes <mode> <command>`` runs a command in one, as a container would.
"""

import errno
import os
import struct
import sys
from dataclasses import dataclass

from sandbox.lockdown import privileges, seccomp
from sandbox.lockdown.kernel import NUMBERS, syscall

ORDINARY_ID = 61183
"""Of no user: owns nothing."""
_CONTAINER_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
"""Those that a container gets by default."""
_CAPABILITY_VERSION_3 = 0x20080522
_NAMESPACE_FLAGS = 0x7E020000
_DENIED_IN_CONTAINERS = (
    *("add_key", "bpf", "finit_module", "init_module", "io_uring_enter", "io_uring_register"),
    *("io_uring_setup", "kexec_load", "keyctl", "mount", "perf_event_open", "pivot_root"),
    *("reboot", "request_key", "setns", "umount2", "unshare", "userfaultfd"),
)
_LANDLOCK = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
_LOAD, _EQUALS, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOWED, _REFUSED = 0x7FFF0000, 0x00050000
_FIRST_ARGUMENT = 16


@dataclass(frozen=True)
class Mode:
    as_root: bool = False
    in_container: bool = False
    landlock: bool = True
    without: tuple[str, ...] = ()
    """Layers that the sandbox is told to leave out."""

    @property
    def user(self) -> int:
        if os.getuid() != 0:
            return os.getuid()
        return 0 if self.as_root else ORDINARY_ID


MODES = {
    "root": Mode(as_root=True),
    "user": Mode(),
    "container": Mode(in_container=True),
    "container-root": Mode(as_root=True, in_container=True),
    "container-without-landlock": Mode(in_container=True, landlock=False),
    "without-namespaces": Mode(as_root=True, without=("namespaces",)),
    "without-landlock": Mode(as_root=True, without=("landlock",)),
}


def cannot_be_made(mode: Mode) -> str | None:
    """Why not, here."""
    return "it needs root" if mode.as_root and not mode.without and os.getuid() != 0 else None


def main() -> None:
    _confine(MODES[sys.argv[1]])
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606


def _confine(mode: Mode) -> None:
    refused: dict[int, int] = {}
    if mode.in_container:
        refused = {NUMBERS[name]: errno.EPERM for name in _DENIED_IN_CONTAINERS}
        refused[NUMBERS["clone3"]] = errno.ENOSYS
    if not mode.landlock:
        refused.update({NUMBERS[name]: errno.ENOSYS for name in _LANDLOCK})
    is_root = os.getuid() == 0
    if mode.in_container and is_root:
        _bound_capabilities()
    if refused:
        if not is_root:
            privileges.no_new_privileges()
        seccomp.install(_filter(refused, namespaces=not mode.in_container))
    if is_root and not mode.as_root:
        os.setgroups([])
        os.setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID)
        os.setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID)
    elif is_root and mode.in_container:
        _set_capabilities(sum(1 << number for number in _CONTAINER_CAPABILITIES))
    elif not is_root:
        _set_capabilities(0)


def _filter(refused: dict[int, int], *, namespaces: bool) -> bytes:
    """A denylist, enough to stand for a container: the rest of its profile tools never reach."""
    program = [_instruction(_LOAD, 0, 0, 0)]
    for number, code in refused.items():
        program += [_instruction(_EQUALS, 0, 1, number), _refusal(code)]
    if not namespaces:
        program += [
            _instruction(_EQUALS, 0, 3, NUMBERS["clone"]),
            _instruction(_LOAD, 0, 0, _FIRST_ARGUMENT),
            _instruction(_ANY_BIT, 0, 1, _NAMESPACE_FLAGS),
            _refusal(errno.EPERM),
        ]
    program.append(_instruction(_RETURN, 0, 0, _ALLOWED))
    return b"".join(program)


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand)


def _refusal(code: int) -> bytes:
    return _instruction(_RETURN, 0, 0, _REFUSED | code)


def _bound_capabilities() -> None:
    for number in range(64):
        if number in _CONTAINER_CAPABILITIES:
            continue
        try:
            syscall("prctl", 24, number, 0, 0, 0)  # PR_CAPBSET_DROP
        except OSError:
            return


def _set_capabilities(mask: int) -> None:
    header = struct.pack("<II", _CAPABILITY_VERSION_3, 0)
    syscall("capset", header, struct.pack("<6I", mask, mask, 0, 0, 0, 0))


if __name__ == "__main__":
    main()
