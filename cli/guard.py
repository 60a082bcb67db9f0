"""Outlives a supervisor that was killed, ends what it left running, and then ends itself.

The supervisor tells it on stdin which processes it started (``+pid``) and which have ended
(``-pid``); end of file means that the supervisor is gone. Until the guard ends it holds the lock
of the data directory, which it inherited, so nobody starts a second database on top of the first.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from cli import processes

GRACE_S = 3.0
"""For what the kernel's parent-death signal has already asked to stop: databases close cleanly."""
_KILL_ROUNDS = 40


class Guard:
    """The supervisor's end."""

    def __init__(self, *, lock_fd: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cli.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            pass_fds=(lock_fd,),
        )
        self.pid = self._process.pid

    def watch(self, pid: int) -> None:
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        self._tell(f"-{pid}\n")

    def dismiss(self) -> None:
        """Let it end; it has nothing to do when everything was forgotten before."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2 * GRACE_S)

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        # Somebody killed the guard: a service must not fail for that.
        with suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    roots: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line.startswith("+"):
            roots.add(pid)
        else:
            roots.discard(pid)
    if roots:
        end(roots)


def end(roots: set[int]) -> None:
    """Wait for the families of ``roots`` to end, then kill what is left of them."""
    # Remembered at once: a parent that dies takes the proof of descent with it.
    left = set(processes.family(roots))
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = _still_there(left | set(processes.family(roots)))
    for _ in range(_KILL_ROUNDS):
        if not left:
            return
        for process in left:
            processes.kill(process)
        time.sleep(0.05)
        left = _still_there(left | set(processes.family(roots)))


def _still_there(known: set[processes.Process]) -> set[processes.Process]:
    return {
        process
        for process in known
        if process.pid != os.getpid() and processes.is_alive(process.pid, process.started_ticks)
    }


if __name__ == "__main__":
    main()
