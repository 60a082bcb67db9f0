"""Service side of one child: its socket, its pidfd, its end."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sandbox.control import Exited
from sandbox.conversation import Conversation
from sandbox.frames import MAX_PAYLOAD, Frame, FrameTooLong, Kind, Unpacker, pack

_READ_BYTES = 65536
"""At once: it can be thousands of frames, and nobody else is served meanwhile."""
_MAX_UNSENT_BYTES = 48 * 2**20
_BUSY_BYTES = 262144
_MUCH_CPU_S = 0.1
_LOWEST_PRIORITY = 19


class ChildFailed(Exception):
    """It ended, or could not be locked down, before it was ready."""


def cpu_clock_of(pid: int) -> int:
    """For ``time.clock_gettime``: CPU time of a whole process. Source: clock_getcpuclockid(3)."""
    return ~pid << 3 | 2


class Child:
    """Killed only through its pidfd: a number could belong to somebody else by now."""

    def __init__(self, own_end: socket.socket, conversation: Conversation | None = None) -> None:
        self.conversation = conversation
        """Over its standard streams, if it is a server that has them."""
        self._socket = own_end
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._unpacker = Unpacker(MAX_PAYLOAD)
        self._unsent = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()
        self._pidfd: int | None = None
        self._closed = False
        self._killed = False
        self._on_frame: Callable[[Frame], None] | None = None
        self._gave_way = False
        self.pid: int | None = None
        """In the zygote's pid namespace."""
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.exited: asyncio.Future[Exited | None] = self._loop.create_future()
        """``None`` when nobody is left to say how it ended."""
        self.hung_up: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._socket.fileno(), self._receive)

    @property
    def usable(self) -> bool:
        gone = self.hung_up.done() or self.exited.done()
        return not (self._killed or self._closed or gone)

    @property
    def process_id(self) -> int | None:
        """In the pid namespace of this process; ``None`` where that cannot be told."""
        try:
            lines = Path(f"/proc/self/fdinfo/{self._pidfd}").read_text().splitlines()
        except OSError:
            return None
        found = [int(line.split()[1]) for line in lines if line.startswith("Pid:")]
        return found[0] if found and found[0] > 0 else None

    def listen(self, on_frame: Callable[[Frame], None] | None) -> None:
        self._on_frame = on_frame

    def send(self, kind: Kind, stream: int, payload: bytes = b"") -> None:
        """Never waits; a child that asks and never reads is killed."""
        if self._closed:
            return
        data = pack(kind, stream, payload)
        if len(self._unsent) + len(data) > _MAX_UNSENT_BYTES:
            self.kill()
            return
        sent = 0
        if not self._unsent:
            with suppress(BlockingIOError):
                try:
                    sent = self._socket.send(data)
                except (BrokenPipeError, ConnectionResetError):
                    return
        if sent < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(self._socket.fileno(), self._send_rest)
            if len(self._unsent) > _BUSY_BYTES:
                self._writable.clear()

    async def drained(self) -> None:
        """Wait until most of what was sent has been read."""
        await self._writable.wait()

    def kill(self) -> None:
        self._killed = True
        if self._pidfd is not None and not self.exited.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def give_way(self) -> None:
        """Once it has computed for long: those that want only a moment need not wait for it."""
        pid = None if self._gave_way else self.process_id
        if pid is None:
            return
        with suppress(OSError):
            if time.clock_gettime(cpu_clock_of(pid)) > _MUCH_CPU_S:
                os.setpriority(os.PRIO_PGRP, pid, _LOWEST_PRIORITY)
                self._gave_way = True

    def take_turn(self) -> None:
        """For another call; without privileges it stays behind the others."""
        pid = self.process_id if self._gave_way else None
        if pid is not None:
            with suppress(OSError):
                os.setpriority(os.PRIO_PGRP, pid, 0)
                self._gave_way = False

    def close(self) -> None:
        """Kill it, if it still lives, and forget it."""
        if self._closed:
            return
        self.kill()
        self._closed = True
        self._on_frame = None
        self._writable.set()
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        if self.conversation is not None:
            self.conversation.close()
        self._close_pidfd()
        self.failed("it was closed")

    def spawned(self, pid: int, pidfd: int | None) -> None:
        self.pid = pid
        self._pidfd = pidfd
        if self._closed:  # before its pid was known
            self.kill()
            self._close_pidfd()

    def failed(self, reason: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ChildFailed(f"A sandbox process did not start: {reason}."))
            self.ready.exception()  # mark as seen: nobody may be waiting

    def ended(self, how: Exited | None) -> None:
        if not self.exited.done():
            self.exited.set_result(how)
        self.failed("it ended")

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._loop.remove_reader(self._socket.fileno())
            self.hung_up.set_result(None)
            self.failed("it closed its connection")
            return
        try:
            for frame in self._unpacker.feed(data):
                self._take(frame)
                if self._closed:
                    return
        except FrameTooLong:
            self.kill()

    def _take(self, frame: Frame) -> None:
        if frame.kind == Kind.READY and not self.ready.done():
            self.ready.set_result(None)
        elif self._on_frame is not None:
            self._on_frame(frame)

    def _send_rest(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            sent = len(self._unsent)
        del self._unsent[:sent]
        if len(self._unsent) <= _BUSY_BYTES:
            self._writable.set()
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())

    def _close_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
