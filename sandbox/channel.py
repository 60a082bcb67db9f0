"""Child side of the socket pair: many HTTP streams over one descriptor, blocking or not."""

import asyncio
import json
import os
import select
import struct
from collections import deque

import httpx

from sandbox.frames import HEADER, Frame, Kind, Unpacker, call_of, pack

BODY_START = struct.Struct("<I")
"""A request's payload: length of the JSON head, the head, the body."""
MAX_BODY_BYTES = 10 * 2**20
"""Of a request."""
READ_BYTES = 262144
_JOB_BYTES = 16384
"""Of a common job; more would be mapped first."""
_LAST = frozenset({Kind.END, Kind.FAILURE})
"""After them a stream is closed."""


class Channel:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._unpacker = Unpacker()
        self._call = 0
        self._next_stream = 1
        self._queues: dict[int, deque[Frame]] = {0: deque()}
        """Frames of open streams; those of any other are dropped."""
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, call: int) -> None:
        """Forget what an earlier call asked for; ``call`` is the stream of the one that follows."""
        self._call = call
        self._next_stream = call + 1
        self._queues = {0: deque()}
        self._waiters.clear()

    def next_job(self) -> bytes:
        """Waits for it. What still comes for an earlier call before it is dropped."""
        data = os.read(self._fd, _JOB_BYTES)
        # It mostly comes alone and whole: then nothing else of this module need be touched.
        if self._unpacker.is_empty and len(data) >= HEADER.size:
            length, kind, _ = HEADER.unpack_from(data)
            if kind == Kind.JOB and len(data) == HEADER.size + length:
                return data[HEADER.size :]
        self._take_in(data)
        while True:
            frame = self.next_blocking(0)
            if frame.kind == Kind.JOB:
                return frame.payload

    def wait_for_end(self) -> None:
        """Until the service hangs up, or kills: dying takes time that its answer would wait for."""
        while os.read(self._fd, READ_BYTES):
            pass

    def send(self, kind: Kind, stream: int, payload: bytes = b"") -> None:
        data = pack(kind, stream, payload)
        sent = 0
        while sent < len(data):
            try:
                sent += os.write(self._fd, memoryview(data)[sent:] if sent else data)
            except BlockingIOError:
                select.select([], [self._fd], [])

    def start_request(self, request: httpx.Request, body: bytes) -> int:
        """The stream on which its answer arrives."""
        stream = self._next_stream
        if call_of(stream) != self._call:
            raise httpx.ConnectError("Refused: one call may make no more requests.")
        self._next_stream += 1
        self._queues[stream] = deque()
        head = {
            "method": request.method,
            "url": str(request.url),
            "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in request.headers.raw],
            "timeouts": request.extensions.get("timeout") or {},
        }
        raw = json.dumps(head).encode()
        self.send(Kind.REQUEST, stream, BODY_START.pack(len(raw)) + raw + body)
        return stream

    def end(self, stream: int) -> None:
        """Nothing more is wanted of it; the broker is told unless it has said all."""
        queue = self._queues.pop(stream, None)
        if queue is not None and not (queue and queue[-1].kind in _LAST):
            self.send(Kind.CANCEL, stream)

    def next_blocking(self, stream: int) -> Frame:
        while not self._queue(stream):
            self._fill()
        return self._take(stream)

    async def next(self, stream: int) -> Frame:
        loop = asyncio.get_running_loop()
        while not self._queue(stream):
            if self._loop is not loop:  # a tool may start a loop of its own
                loop.add_reader(self._fd, self._fill)
                self._loop = loop
            waiter = loop.create_future()
            self._waiters[stream] = waiter
            await waiter
        return self._take(stream)

    def _queue(self, stream: int) -> deque[Frame]:
        try:
            return self._queues[stream]
        except KeyError:
            raise httpx.StreamClosed from None

    def _take(self, stream: int) -> Frame:
        frame = self._queues[stream].popleft()
        if frame.kind in _LAST:
            del self._queues[stream]
        return frame

    def _fill(self) -> None:
        self._take_in(os.read(self._fd, READ_BYTES))

    def _take_in(self, data: bytes) -> None:
        if not data:
            raise httpx.NetworkError("The connection to the sandbox service is closed.")
        for frame in self._unpacker.feed(data):
            queue = self._queues.get(frame.stream)
            if queue is None:
                continue
            queue.append(frame)
            waiter = self._waiters.pop(frame.stream, None)
            if waiter is not None:
                self._wake(waiter)

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)
