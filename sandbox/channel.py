"""Child side of the socket pair: many HTTP streams over one descriptor, blocking or not."""

import asyncio
import json
import os
import select
import struct
from collections import deque
from typing import Any

import httpx

from sandbox.frames import Frame, Kind, Unpacker, pack

BODY_START = struct.Struct("<I")
"""A request's payload: length of the JSON head, the head, the body."""
_READ_BYTES = 262144


class Channel:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._unpacker = Unpacker()
        self._next_stream = 1
        self._queues: dict[int, deque[Frame]] = {}
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def send(self, kind: Kind, stream: int, payload: bytes = b"") -> None:
        view = memoryview(pack(kind, stream, payload))
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                select.select([], [self._fd], [])

    def start_request(self, request: httpx.Request, body: bytes) -> int:
        """The stream on which its answer arrives."""
        stream = self._next_stream
        self._next_stream += 1
        timeout: dict[str, Any] = request.extensions.get("timeout") or {}
        head = {
            "method": request.method,
            "url": str(request.url),
            "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in request.headers.raw],
            "timeout_s": timeout.get("read") or timeout.get("connect"),
        }
        raw = json.dumps(head).encode()
        self.send(Kind.REQUEST, stream, BODY_START.pack(len(raw)) + raw + body)
        return stream

    def next_blocking(self, stream: int) -> Frame:
        while not self._queues.get(stream):
            self._fill()
        return self._take(stream)

    async def next(self, stream: int) -> Frame:
        loop = asyncio.get_running_loop()
        while not self._queues.get(stream):
            if self._loop is not loop:  # a tool may start a loop of its own
                loop.add_reader(self._fd, self._fill)
                self._loop = loop
            waiter = loop.create_future()
            self._waiters[stream] = waiter
            await waiter
        return self._take(stream)

    def _take(self, stream: int) -> Frame:
        queue = self._queues[stream]
        frame = queue.popleft()
        if not queue:
            del self._queues[stream]
        return frame

    def _fill(self) -> None:
        data = os.read(self._fd, _READ_BYTES)
        if not data:
            raise httpx.NetworkError("The connection to the sandbox service is closed.")
        for frame in self._unpacker.feed(data):
            self._queues.setdefault(frame.stream, deque()).append(frame)
            waiter = self._waiters.pop(frame.stream, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
