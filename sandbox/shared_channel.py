"""A channel for a process with threads: one of them reads, the others wait for their part."""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress

import httpx

from sandbox.channel import READ_BYTES, Channel
from sandbox.frames import Frame, Kind


class SharedChannel(Channel):
    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._changed = threading.Condition(threading.RLock())
        self._one_at_a_time = threading.Lock()

    @property
    def call(self) -> int:
        return self._call

    def share(self, on_job: Callable[[bytes], None]) -> None:
        """From now on; ``on_job`` is called by the thread that reads. Ends this process with it."""
        threading.Thread(target=self._read, args=(on_job,), daemon=True).start()

    def begin(self, call: int) -> None:
        with self._changed:
            waiters = list(self._waiters.values())
            super().begin(call)
            for waiter in waiters:
                self._wake(waiter)
            self._changed.notify_all()

    def send(self, kind: Kind, stream: int, payload: bytes = b"") -> None:
        with self._one_at_a_time:
            super().send(kind, stream, payload)

    def start_request(self, request: httpx.Request, body: bytes) -> int:
        with self._changed:
            return super().start_request(request, body)

    def end(self, stream: int) -> None:
        with self._changed:
            super().end(stream)

    def next_blocking(self, stream: int) -> Frame:
        with self._changed:
            while not self._queue(stream):
                self._changed.wait()
            return self._take(stream)

    async def next(self, stream: int) -> Frame:
        while True:
            with self._changed:
                if self._queue(stream):
                    return self._take(stream)
                waiter = self._waiters[stream] = asyncio.get_running_loop().create_future()
            await waiter

    def _read(self, on_job: Callable[[bytes], None]) -> None:
        while data := os.read(self._fd, READ_BYTES):
            with self._changed:
                self._take_in(data)
                self._changed.notify_all()
            jobs = self._queue(0)
            while jobs:
                frame = jobs.popleft()
                if frame.kind == Kind.JOB:
                    on_job(frame.payload)
        os._exit(0)

    def _wake(self, waiter: "asyncio.Future[None]") -> None:
        with suppress(RuntimeError):  # its loop is closed
            waiter.get_loop().call_soon_threadsafe(_settle, waiter)


def _settle(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
