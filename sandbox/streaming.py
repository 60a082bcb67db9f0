"""Answers that last as long as a tool runs: for a client that stays, at the pace that it reads."""

import asyncio
import codecs
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from sandbox.contract import EVENTS_MEDIA_TYPE, RunEvent, RunResult

STALLED_S = 30.0
"""A reader that takes nothing for so long is gone."""
_SHORT_CALL_S = 0.02

Answer = TypeVar("Answer")
OnOutput = Callable[[bytes], None]
Run = Callable[[OnOutput], Coroutine[Any, Any, RunResult]]
log = logging.getLogger(__name__)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Nobody waits for the answer of a client that hung up: its child is killed.

    Most calls are over before it is worth to look. Raises: ClientDisconnect.
    """
    task = asyncio.current_task()
    assert task is not None
    watching: list[asyncio.Future[Message]] = []
    over = False

    def watch() -> None:
        hung_up = asyncio.ensure_future(receive())
        hung_up.add_done_callback(stop)
        watching.append(hung_up)

    def stop(_: object) -> None:
        if not over:
            task.cancel()

    timer = asyncio.get_running_loop().call_later(_SHORT_CALL_S, watch)
    try:
        return await work
    except asyncio.CancelledError:
        if any(hung_up.done() for hung_up in watching):
            task.uncancel()
            raise ClientDisconnect from None
        raise
    finally:
        over = True
        timer.cancel()
        for hung_up in watching:
            hung_up.cancel()


class EventStream(Response):
    """One :class:`RunEvent` a line. A run that does not begin is answered as any other one.

    A reader that is slow holds up nothing but its own answer, and no more waits for it in memory
    than a run may print.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(media_type=EVENTS_MEDIA_TYPE)
        del self.headers["content-length"]
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        with suppress(ClientDisconnect):
            await while_connected(receive, self._stream(send))

    async def _stream(self, send: Send) -> None:
        printed = _Printed()
        running = asyncio.ensure_future(self._run(printed.add))
        running.add_done_callback(lambda _: printed.end())
        started = False
        try:
            while text := await printed.read():
                if not started:
                    started = True
                    await self._start(send)
                await _send(send, RunEvent(stdout=text))
            event = RunEvent(result=running.result())
            if not started:
                await self._start(send)
            await _send(send, event, more=False)
        except TimeoutError:
            log.warning("A client read nothing of a run's output for %g s.", STALLED_S)
        finally:
            await _ended(running)

    async def _start(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)


class _Printed:
    """Written on one side, read on the other."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._unread: list[str] = []
        self._changed = asyncio.Event()
        self._ended = False

    def add(self, data: bytes) -> None:
        if text := self._decoder.decode(data):
            self._unread.append(text)
            self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def read(self) -> str:
        """All that was added meanwhile; nothing, once it has ended."""
        while not self._unread and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        text = "".join(self._unread)
        self._unread.clear()
        return text


async def _send(send: Send, event: RunEvent, *, more: bool = True) -> None:
    """Raises: TimeoutError."""
    line = event.model_dump_json(exclude_none=True).encode() + b"\n"
    async with asyncio.timeout(STALLED_S):
        await send({"type": "http.response.body", "body": line, "more_body": more})


async def _ended(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
