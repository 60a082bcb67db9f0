"""seccomp: an allow-list of system calls as raw BPF.

A filter is a list of blocks, each "is it this call? then these instructions", ended by a refusal.
Source: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import struct

from sandbox.lockdown.kernel import IS_ARM, NUMBERS, syscall
from sandbox.words import words

_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AUDIT_ARCH = 0xC00000B7 if IS_ARM else 0xC000003E
_X32_BIT = 0x40000000
_NUMBER_OFFSET, _ARCH_OFFSET = 0, 4
_SET_MODE_FILTER = 1
_AF_UNIX = 1
_MAP_SHARED, _PROT_EXEC = 1, 4
_NAMESPACE_FLAGS = 0x7E020000 | 0x80  # every CLONE_NEW*
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)  # DUPFD GETFD SETFD GETFL SETFL DUPFD_CLOEXEC
_IOCTL_COMMANDS = (
    0x5421,
    0x5451,
    0x5450,
    0x5401,
    0x541B,
)  # FIONBIO FIOCLEX FIONCLEX TCGETS FIONREAD
_WRITING = (
    os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    | (os.O_TMPFILE & ~os.O_DIRECTORY)
)  # fmt: skip

_PLAIN = words("""
    read write close fstat lseek munmap mremap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64
    readv writev sched_yield madvise dup dup2 dup3 nanosleep getpid recvfrom shutdown getsockname
    getpeername getsockopt exit exit_group uname getcwd gettimeofday getrlimit getrusage sysinfo
    times getuid getgid geteuid getegid getppid getgroups getresuid getresgid sigaltstack gettid
    time futex sched_getaffinity set_tid_address restart_syscall clock_gettime clock_getres
    clock_nanosleep epoll_create epoll_wait epoll_ctl epoll_pwait epoll_pwait2 poll ppoll select
    pselect6 set_robust_list eventfd2 epoll_create1 pipe2 getrandom membarrier rseq close_range
    pause getitimer
""")
_PATHS = words("""
    stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents64
""")
_FORK_SERVER = words("""
    setsid prctl setrlimit landlock_restrict_self seccomp pidfd_open wait4 sendmsg recvmsg
""")
_NEVER_BY_ACCIDENT = words("""
    ptrace process_vm_readv process_vm_writev bpf io_uring_setup io_uring_enter io_uring_register
    perf_event_open add_key request_key keyctl userfaultfd pivot_root mount unshare setns
    init_module finit_module kexec_load reboot
""")

_KEPT_ALIVE: list[ctypes.Array[ctypes.c_char]] = []


def child_filter(*, files_visible: bool) -> bytes:
    """For tool code: compute, sleep, use what is open; with ``files_visible`` also read files.

    No process, thread, socket, executable memory, shared memory or signal to others.
    """
    return _assemble(_child_blocks(files_visible=files_visible))


def zygote_filter() -> bytes:
    """For the fork server: what a child may do, plus forking, reaping and locking down."""
    blocks = _child_blocks(files_visible=True)
    blocks.update({name: [_ALLOW] for name in _FORK_SERVER})
    # Before the lock-down was inherited, extension modules of the preload may still be mapped.
    blocks["mmap"] = [*_refuse_if_any(3, _MAP_SHARED), _ALLOW]
    blocks["clone"] = [*_refuse_if_any(0, _NAMESPACE_FLAGS), _ALLOW]
    return _assemble(blocks)


def install(program: bytes) -> None:
    """For good, for this process and its children. Needs ``no_new_privileges``."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    _KEPT_ALIVE.append(code)
    syscall("seccomp", _SET_MODE_FILTER, 0, header)


def _child_blocks(*, files_visible: bool) -> dict[str, list[bytes]]:
    blocks = {name: [_ALLOW] for name in _PLAIN}
    if files_visible:
        blocks.update({name: [_ALLOW] for name in _PATHS})
        blocks["openat"] = [*_refuse_if_any(2, _WRITING, errno.EROFS), _ALLOW]
        blocks["open"] = [*_refuse_if_any(1, _WRITING, errno.EROFS), _ALLOW]
    # Shared mappings escape the memory limit; executable ones would be native code.
    blocks["mmap"] = [*_refuse_if_any(3, _MAP_SHARED), *_refuse_if_any(2, _PROT_EXEC), _ALLOW]
    blocks["mprotect"] = [*_refuse_if_any(2, _PROT_EXEC), _ALLOW]
    blocks["fcntl"] = _only(1, _FCNTL_COMMANDS, errno.EPERM)
    blocks["ioctl"] = _only(1, _IOCTL_COMMANDS, errno.ENOTTY)
    blocks["socketpair"] = _only(0, (_AF_UNIX,), errno.EPERM)
    blocks["sendto"] = [*_require_zero(4), _ALLOW]  # no destination: connected pairs only
    # Only on itself: a hard limit never goes up again.
    blocks["prlimit64"] = [*_require_zero(0), _ALLOW]
    blocks["clone3"] = [_refusal(errno.ENOSYS)]  # libc then falls back to clone, which is refused
    return blocks


def _assemble(blocks: dict[str, list[bytes]]) -> bytes:
    program = [
        _instruction(_LOAD, 0, 0, _ARCH_OFFSET),
        _instruction(_EQUALS, 1, 0, _AUDIT_ARCH),
        _KILL,
        _instruction(_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    if not IS_ARM:
        program += [_instruction(_AT_LEAST, 0, 1, _X32_BIT), _KILL]
    blocks = {**blocks, **{name: [_KILL] for name in _NEVER_BY_ACCIDENT}}
    for name, body in blocks.items():
        if name in NUMBERS:
            program.append(_instruction(_EQUALS, 0, len(body), NUMBERS[name]))
            program += body
    program.append(_refusal(errno.EPERM))
    return b"".join(program)


def _refuse_if_any(argument: int, bits: int, code: int = errno.EPERM) -> list[bytes]:
    return [_load(argument), _instruction(_ANY_BIT, 0, 1, bits), _refusal(code)]


def _require_zero(argument: int) -> list[bytes]:
    return [
        _load(argument),
        _instruction(_EQUALS, 1, 0, 0),
        _refusal(errno.EPERM),
        _load(argument, upper_half=True),
        _instruction(_EQUALS, 1, 0, 0),
        _refusal(errno.EPERM),
    ]


def _only(argument: int, values: tuple[int, ...], code: int) -> list[bytes]:
    body = [_load(argument)]
    for value in values:
        body += [_instruction(_EQUALS, 0, 1, value), _ALLOW]
    return [*body, _refusal(code)]


def _load(argument: int, *, upper_half: bool = False) -> bytes:
    return _instruction(_LOAD, 0, 0, 16 + 8 * argument + (4 if upper_half else 0))


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand & 0xFFFFFFFF)


def _refusal(code: int) -> bytes:
    return _instruction(_RETURN, 0, 0, 0x00050000 | code)


_ALLOW = _instruction(_RETURN, 0, 0, 0x7FFF0000)
_KILL = _instruction(_RETURN, 0, 0, 0x80000000)
