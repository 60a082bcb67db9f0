"""Processes beside the one that measures: each ends with the block it was started for."""

import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from cli.processes import dies_with_parent

STOP_TIMEOUT_S = 10


class Listening(NamedTuple):
    """A server of MCP, in a process of its own."""

    url: str
    pid: int


@contextmanager
def serving(module: str, *arguments: str) -> Generator[Listening]:
    """Its main function is told the number of a socket that listens already.

    So who connects before it serves just waits.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-m", module, str(listener.fileno()), *arguments],
            pass_fds=[listener.fileno()],
            preexec_fn=dies_with_parent(signal.SIGKILL),
        )
    with ending(process):
        yield Listening(f"http://127.0.0.1:{port}/mcp", process.pid)


@contextmanager
def ending(process: subprocess.Popen[bytes], timeout_s: float = STOP_TIMEOUT_S) -> Generator[None]:
    """Politely, then by force."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
