"""Child side of an MCP server that speaks over stdio: become it.

By now the child is locked down; whatever the server's code does, it does with nothing.
"""

import asyncio
import json
import os
import runpy
import sys
import threading
from contextlib import suppress
from functools import partial

from sandbox.frames import Kind
from sandbox.job import Job
from sandbox.lockdown import rlimits
from sandbox.runtime import describe
from sandbox.shared_channel import SharedChannel
from sandbox.transports import BrokerTransport

_STACK_BYTES = 2 * 2**20
"""Of a thread; what the system gives by default would soon be all the memory of a call."""


def live(fd: int, *, address_space_bytes: int | None) -> None:
    """Until the server ends, or is killed; the caller then ends the process.

    ``address_space_bytes``: of a fresh child; ``None`` leaves memory and CPU unlimited.
    """
    channel = BrokerTransport.channel = SharedChannel(fd)
    channel.send(Kind.READY, 0)
    first = Job.from_bytes(channel.next_job())
    threading.stack_size(_STACK_BYTES)
    begin = partial(_begin, channel, address_space_bytes)
    _look_like_a_process(first)
    channel.share(lambda data: begin(Job.from_bytes(data)))
    begin(first)
    channel.send(Kind.RESULT, channel.call, _run(first))


def _begin(channel: SharedChannel, address_space_bytes: int | None, job: Job) -> None:
    """One call, of the limits that its job has; it is spoken about once this is confirmed."""
    channel.begin(job.call)
    if address_space_bytes is not None:
        rlimits.set_call_limits(
            address_space_bytes=address_space_bytes,
            memory_bytes=job.limits.memory_bytes,
            cpu_s=job.limits.cpu_s,
            resident=job.resident,
        )
    channel.send(Kind.READY, job.call)


def _look_like_a_process(job: Job) -> None:
    """As Python would have started it."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # noqa: SIM115
        2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    sys.argv = list(job.command)
    os.environ.update(job.secrets)
    asyncio.set_event_loop(asyncio.new_event_loop())  # that of a tool cannot be woken by threads


def _run(job: Job) -> bytes:
    """The report, as JSON: why there will be no more answers."""
    failure = {"kind": "raised", "message": "The server ended without an answer.", "line": None}
    try:
        runpy.run_module(job.command[0], run_name="__main__", alter_sys=True)
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001  whatever a server raises ends it
        failure = describe(error, job.limits)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    return json.dumps({"ok": False, "last": True, "error": failure}).encode()
