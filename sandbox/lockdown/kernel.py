"""Bare system calls: numbers per machine, and one typed way to make them."""

import ctypes
import os
import platform
from collections.abc import Callable

IS_ARM = platform.machine() in {"aarch64", "arm64"}

# PyDLL keeps the interpreter lock: no other thread runs between the call and reading errno.
_LIBC = ctypes.PyDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def syscall(name: str, *arguments: int | bytes | None) -> int:
    """Raises: OSError: as the kernel says, naming the call."""
    return prepared(name, *arguments)()


def prepared(name: str, *arguments: int | bytes | None) -> Callable[[], int]:
    """:func:`syscall` for later: what is laid out before a fork need not be in each child."""
    number = ctypes.c_long(NUMBERS[name])
    given = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]

    def call() -> int:
        result: int = _LIBC.syscall(number, *given)
        if result == -1:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")
        return result

    return call


def _numbers(table: str) -> dict[str, int]:
    words = table.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


_X86_64 = _numbers("""
    read 0 write 1 open 2 close 3 stat 4 fstat 5 lstat 6 poll 7 lseek 8 mmap 9 mprotect 10
    munmap 11 brk 12 rt_sigaction 13 rt_sigprocmask 14 rt_sigreturn 15 ioctl 16 pread64 17
    pwrite64 18 readv 19 writev 20 access 21 pipe 22 select 23 sched_yield 24 mremap 25 madvise 28
    dup 32 dup2 33 pause 34 nanosleep 35 getitimer 36 getpid 39 socket 41 connect 42 sendto 44
    recvfrom 45 sendmsg 46 recvmsg 47 shutdown 48 bind 49 listen 50 getsockname 51 getpeername 52
    socketpair 53 setsockopt 54 getsockopt 55 clone 56 fork 57 vfork 58 execve 59 exit 60 wait4 61
    kill 62 uname 63 fcntl 72 getdents 78 getcwd 79 readlink 89 gettimeofday 96 getrlimit 97
    getrusage 98 sysinfo 99 times 100 ptrace 101 getuid 102 getgid 104 geteuid 107 getegid 108
    getppid 110 setsid 112 getgroups 115 getresuid 118 getresgid 120 capset 126 sigaltstack 131
    statfs 137 fstatfs 138 pivot_root 155 prctl 157 arch_prctl 158 setrlimit 160 mount 165
    umount2 166 reboot 169 init_module 175 gettid 186 time 201 futex 202 sched_getaffinity 204
    epoll_create 213 getdents64 217 set_tid_address 218 restart_syscall 219 clock_gettime 228
    clock_getres 229 clock_nanosleep 230 exit_group 231 epoll_wait 232 epoll_ctl 233 tgkill 234
    kexec_load 246 add_key 248 request_key 249 keyctl 250 openat 257 mkdirat 258 newfstatat 262
    readlinkat 267
    faccessat 269 pselect6 270 ppoll 271 unshare 272 set_robust_list 273 epoll_pwait 281
    eventfd2 290 epoll_create1 291 dup3 292 pipe2 293 perf_event_open 298 prlimit64 302 setns 308
    process_vm_readv 310 process_vm_writev 311 finit_module 313 seccomp 317 getrandom 318 bpf 321
    userfaultfd 323 membarrier 324 statx 332 rseq 334 io_uring_setup 425 io_uring_enter 426
    io_uring_register 427 pidfd_open 434 clone3 435 close_range 436 faccessat2 439
    epoll_pwait2 441 landlock_create_ruleset 444 landlock_add_rule 445 landlock_restrict_self 446
""")

_AARCH64 = _numbers("""
    getcwd 17 eventfd2 19 epoll_create1 20 epoll_ctl 21 epoll_pwait 22 dup 23 dup3 24 fcntl 25
    ioctl 29 mkdirat 34 umount2 39 mount 40 pivot_root 41 statfs 43 fstatfs 44 faccessat 48
    openat 56
    close 57 pipe2 59 getdents64 61 lseek 62 read 63 write 64 readv 65 writev 66 pread64 67
    pwrite64 68 pselect6 72 ppoll 73 readlinkat 78 newfstatat 79 fstat 80 capset 91 exit 93
    exit_group 94 set_tid_address 96 unshare 97 futex 98 set_robust_list 99 nanosleep 101
    getitimer 102 kexec_load 104 init_module 105 clock_gettime 113 clock_getres 114
    clock_nanosleep 115 ptrace 117 sched_getaffinity 123 sched_yield 124 restart_syscall 128
    kill 129 tgkill 131 sigaltstack 132 rt_sigaction 134 rt_sigprocmask 135 rt_sigreturn 139
    reboot 142 getresuid 148 getresgid 150 times 153 setsid 157 getgroups 158 uname 160
    getrlimit 163 setrlimit 164 getrusage 165 prctl 167 gettimeofday 169 getpid 172 getppid 173
    getuid 174 geteuid 175 getgid 176 getegid 177 gettid 178 sysinfo 179 socket 198 socketpair 199
    connect 203 getsockname 204 getpeername 205 sendto 206 recvfrom 207 setsockopt 208
    getsockopt 209 shutdown 210 sendmsg 211 recvmsg 212 brk 214 munmap 215 mremap 216 add_key 217
    request_key 218 keyctl 219 clone 220 mmap 222 mprotect 226 madvise 233 perf_event_open 241
    wait4 260 prlimit64 261 setns 268 process_vm_readv 270 process_vm_writev 271 finit_module 273
    seccomp 277 getrandom 278 bpf 280 userfaultfd 282 membarrier 283 statx 291 rseq 293
    io_uring_setup 425 io_uring_enter 426 io_uring_register 427 pidfd_open 434 clone3 435
    close_range 436 faccessat2 439 epoll_pwait2 441 landlock_create_ruleset 444
    landlock_add_rule 445 landlock_restrict_self 446
""")

NUMBERS = _AARCH64 if IS_ARM else _X86_64
