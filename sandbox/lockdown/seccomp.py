"""seccomp: an allow-list of system calls as raw BPF.

A filter is a list of blocks, each "is it this call? then these instructions", ended by a refusal.
Source: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable

from sandbox.lockdown.kernel import IS_ARM, NUMBERS, prepared
from sandbox.words import words

_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AUDIT_ARCH = 0xC00000B7 if IS_ARM else 0xC000003E
_X32_BIT = 0x40000000
_NUMBER_OFFSET, _ARCH_OFFSET = 0, 4
_SET_MODE_FILTER = 1
_AF_UNIX = 1
_MAP_ANONYMOUS = 0x20
_MAP_NOT_OURS = 1 | 0x40000
"""Shared memory escapes the memory limit; huge pages (MAP_HUGETLB) are the host's."""
_PROT_WRITE, _PROT_EXEC = 2, 4
_PR_SET_PDEATHSIG = 1
_CLONE_MORE_THAN_FORK = 0x100 | 0x4000 | 0x10000  # VM, VFORK, THREAD
_CLONE_THREAD = 0x3D0F00
"""As glibc starts one: VM FS FILES SIGHAND THREAD SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID."""
_NAMESPACE_FLAGS = 0x7E020000 | 0x80  # every CLONE_NEW*
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)  # DUPFD GETFD SETFD GETFL SETFL DUPFD_CLOEXEC
_IOCTL_COMMANDS = (
    0x5421,
    0x5451,
    0x5450,
    0x5401,
    0x541B,
)  # FIONBIO FIOCLEX FIONCLEX TCGETS FIONREAD
_FUTEX_PRIVATE, _FUTEX_REALTIME = 128, 256
_FUTEX_OPERATIONS = (
    *(_FUTEX_PRIVATE | operation for operation in (0, 1, 3, 4, 5, 9, 10)),
    _FUTEX_PRIVATE | _FUTEX_REALTIME | 9,
)  # WAIT WAKE REQUEUE CMP_REQUEUE WAKE_OP WAIT_BITSET WAKE_BITSET
_SOL_SOCKET = 1
_SOCKET_OPTIONS = (3, 4, 7, 8, 30, 38, 39)  # TYPE ERROR SNDBUF RCVBUF ACCEPTCONN PROTOCOL DOMAIN
_MSG_PEEK, _MSG_DONTWAIT, _MSG_WAITALL, _MSG_NOSIGNAL = 2, 0x40, 0x100, 0x4000
_MEMORY_ADVICE = (
    *(0, 1, 2, 3, 4, 8),  # NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED FREE
    *(14, 15, 16, 17, 18, 19),  # HUGEPAGE NOHUGEPAGE DONTDUMP DODUMP WIPEONFORK KEEPONFORK
)
_WRITING = (
    os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    | (os.O_TMPFILE & ~os.O_DIRECTORY)
)  # fmt: skip

_PLAIN = words("""
    read write close fstat lseek munmap mremap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64
    readv writev sched_yield dup dup2 dup3 nanosleep getpid shutdown getsockname
    getpeername exit exit_group uname getcwd gettimeofday getrlimit getrusage sysinfo
    times getuid getgid geteuid getegid getppid getgroups getresuid getresgid sigaltstack gettid
    time sched_getaffinity set_tid_address restart_syscall clock_gettime clock_getres
    clock_nanosleep epoll_create epoll_wait epoll_ctl epoll_pwait epoll_pwait2 poll ppoll select
    pselect6 set_robust_list eventfd2 epoll_create1 pipe2 getrandom rseq close_range
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


def child_filter(
    *, files_visible: bool, native_modules: bool = False, threads: bool = False
) -> bytes:
    """For tool code: compute, sleep, use what is open; with ``files_visible`` also read files.

    No process, thread, socket, executable memory, shared memory or signal to others.
    ``native_modules``: files may be mapped as code, unless they are mapped to be written as well.
    ``threads``: the process may have more than one.
    """
    blocks = _child_blocks(files_visible=files_visible)
    if native_modules:
        blocks["mmap"] = _mapping_of_code()
    if threads:
        blocks.update(_threading_blocks())
    return _assemble(blocks)


def zygote_filter(*, foreign_modules: bool = False) -> bytes:
    """For the fork server: what a child may do, plus forking, reaping and locking down.

    ``foreign_modules``: it will run code that is not ours.
    """
    blocks = _child_blocks(files_visible=True)
    blocks.update({name: [_ALLOW] for name in _FORK_SERVER})
    blocks["madvise"] = [_ALLOW]
    # Before the lock-down was inherited, extension modules of the preload may still be mapped.
    blocks["mmap"] = [*_refuse_if_any(3, _MAP_NOT_OURS), _ALLOW]
    blocks["clone"] = [*_refuse_if_any(0, _NAMESPACE_FLAGS), _ALLOW]
    if foreign_modules:
        blocks["mmap"] = _mapping_of_code()
        blocks["clone"] = [
            _load(0), _instruction(_EQUALS, 0, 1, _CLONE_THREAD), _ALLOW,
            *_refuse_if_any(0, _NAMESPACE_FLAGS | _CLONE_MORE_THAN_FORK), _ALLOW,
        ]  # fmt: skip
        # It cannot outlive the service: this is the only thing that it may set about itself.
        blocks["prctl"] = [
            *_require(0, _PR_SET_PDEATHSIG), *_require(1, signal.SIGKILL), _ALLOW
        ]  # fmt: skip
    return _assemble(blocks)


def importing_filter(*, threads: bool = False) -> bytes:
    """For a child that imports modules before it puts on :func:`child_filter`."""
    blocks = _child_blocks(files_visible=True)
    if threads:
        blocks.update(_threading_blocks())
    blocks["mmap"] = _mapping_of_code()
    blocks["seccomp"] = [_ALLOW]
    return _assemble(blocks)


def unpacking_filter() -> bytes:
    """For the process that unpacks wheels: what a child may do, plus making files and folders."""
    blocks = _child_blocks(files_visible=True)
    blocks["openat"] = [_ALLOW]
    blocks["mkdirat"] = [_ALLOW]
    return _assemble(blocks)


def install(program: bytes) -> None:
    """For good, for this process and its children. Needs ``no_new_privileges``."""
    prepared_install(program)()


def prepared_install(program: bytes) -> Callable[[], int]:
    """:func:`install` for later."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    _KEPT_ALIVE.append(code)
    return prepared("seccomp", _SET_MODE_FILTER, 0, header)


def _child_blocks(*, files_visible: bool) -> dict[str, list[bytes]]:
    blocks = {name: [_ALLOW] for name in _PLAIN}
    if files_visible:
        blocks.update({name: [_ALLOW] for name in _PATHS})
        blocks["openat"] = [*_refuse_if_any(2, _WRITING, errno.EROFS), _ALLOW]
        blocks["open"] = [*_refuse_if_any(1, _WRITING, errno.EROFS), _ALLOW]
    # Executable mappings would be native code.
    blocks["mmap"] = [*_refuse_if_any(3, _MAP_NOT_OURS), *_refuse_if_any(2, _PROT_EXEC), _ALLOW]
    blocks["mprotect"] = [*_refuse_if_any(2, _PROT_EXEC), _ALLOW]
    blocks["fcntl"] = _only(1, _FCNTL_COMMANDS, errno.EPERM)
    blocks["ioctl"] = _only(1, _IOCTL_COMMANDS, errno.ENOTTY)
    blocks["socketpair"] = _only(0, (_AF_UNIX,), errno.EPERM)
    # Between calls that run at once, a futex on a library's page would be a bell.
    blocks["futex"] = _only(1, _FUTEX_OPERATIONS, errno.EPERM)
    blocks["madvise"] = _only(2, _MEMORY_ADVICE, errno.EINVAL)
    # The peer of the one socket pair is the service: no handle on it (SO_PEERPIDFD), no who it is.
    blocks["getsockopt"] = [*_require(1, _SOL_SOCKET), *_only(2, _SOCKET_OPTIONS, errno.EPERM)]
    # No destination: connected pairs only. No MSG_OOB: rarely used, so rarely tested, kernel code.
    blocks["sendto"] = [
        *_require(4, 0), *_refuse_if_any(3, ~(_MSG_DONTWAIT | _MSG_NOSIGNAL)), _ALLOW
    ]  # fmt: skip
    blocks["recvfrom"] = [
        *_refuse_if_any(3, ~(_MSG_DONTWAIT | _MSG_PEEK | _MSG_WAITALL | _MSG_NOSIGNAL)), _ALLOW
    ]  # fmt: skip
    # Only on itself: a hard limit never goes up again.
    blocks["prlimit64"] = [*_require(0, 0), _ALLOW]
    blocks["clone3"] = [_refusal(errno.ENOSYS)]  # libc then falls back to clone, which is refused
    return blocks


def _threading_blocks() -> dict[str, list[bytes]]:
    """Whoever joins a thread waits for the kernel to wake it, by an operation that is refused.

    So it is told to look again, until the thread is gone.
    """
    return {
        "clone": _only(0, (_CLONE_THREAD,), errno.EPERM),
        "futex": _only(1, _FUTEX_OPERATIONS, errno.EAGAIN),
    }


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


def _mapping_of_code() -> list[bytes]:
    """Only of files, for no process can write one, and only as they are."""
    return [
        *_refuse_if_any(3, _MAP_NOT_OURS),
        _load(2),
        _instruction(_ANY_BIT, 1, 0, _PROT_EXEC),
        _ALLOW,
        *_refuse_if_any(2, _PROT_WRITE),
        *_refuse_if_any(3, _MAP_ANONYMOUS),
        _ALLOW,
    ]


def _require(argument: int, value: int) -> list[bytes]:
    return [
        _load(argument),
        _instruction(_EQUALS, 1, 0, value),
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
