"""One job sent to a child, and what it answers; a child that breaks the protocol is killed."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

from sandbox.broker import Session
from sandbox.cancelling import Stop
from sandbox.child import Child
from sandbox.control import Exited
from sandbox.dialogue import Asked, Broken
from sandbox.frames import Frame, Kind, call_of
from sandbox.job import Job
from sandbox.truncating import NOTE_BYTES, Truncating

_REPORT_OVERHEAD_BYTES = 65536
"""What a report may have beyond its result: an error with its message."""
_EXIT_WAIT_S = 1.0
_SHORT_CALL_S = 0.15
_LONG_CALL_STEP_S = 1.0


class TimedOut:
    """The wall limit struck."""


class Stopped:
    """Its caller asked for its end."""


class LastWords(NamedTuple):
    """What a server's process says of its end: never an answer."""

    report: bytes


class Ended:
    """The child closed its connection, ``how`` its process ended."""

    def __init__(self, how: Exited | None) -> None:
        self.how = how

    @property
    def was_interrupted(self) -> bool:
        """By somebody else: code that only is parsed does not come to this."""
        return self.how is None or (
            os.WIFSIGNALED(self.how.status) and os.WTERMSIG(self.how.status) == signal.SIGKILL
        )


Report = bytes | Broken | LastWords
Answer = Report | TimedOut | Stopped | Ended


async def exchange(
    child: Child,
    job: Job,
    wall_s: float,
    session: Session | None,
    *,
    on_output: Callable[[bytes], None] | None = None,
    stop: Stop | None = None,
    asked: Asked | None = None,
) -> tuple[Answer, str]:
    """The child's report, or why there is none; and what was printed.

    ``asked``: of the server that the child becomes.
    """
    output = _Output(job.limits.stdout_bytes + NOTE_BYTES, on_output)
    listener = _Listener(child, job, session, output, asked)
    report = listener.report
    child.listen(listener.take)
    child.send(Kind.JOB, 0, job.to_bytes())
    try:
        await _first_of(report, child.hung_up, wall_s, child.give_way)
    except asyncio.CancelledError:
        if stop is None or not stop.accept():
            raise
        child.kill()
        return Stopped(), output.text
    finally:
        child.listen(None)
        listener.end()
    if report.done():
        return report.result(), output.text
    child.kill()  # it runs too long; or it closed its connection, and may live on
    if not child.hung_up.done():
        return TimedOut(), output.text
    await asyncio.wait((child.exited,), timeout=_EXIT_WAIT_S)
    return Ended(child.exited.result() if child.exited.done() else None), output.text


async def _first_of(
    report: asyncio.Future[Report],
    hung_up: asyncio.Future[None],
    within_s: float,
    keep_going: Callable[[], None],
) -> None:
    """``keep_going`` is called now and then while it lasts longer than most calls do.

    Every call passes here, so it is one future and one timer.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    deadline = loop.time() + within_s

    def end(_: object) -> None:
        if not over.done():
            over.set_result(None)

    def look(step_s: float) -> asyncio.TimerHandle:
        return loop.call_at(min(loop.time() + step_s, deadline), look_again)

    def look_again() -> None:
        nonlocal timer
        if loop.time() >= deadline:
            end(None)
            return
        keep_going()
        timer = look(_LONG_CALL_STEP_S)

    timer = look(_SHORT_CALL_S)
    report.add_done_callback(end)
    hung_up.add_done_callback(end)
    try:
        await over
    finally:
        timer.cancel()
        hung_up.remove_done_callback(end)


class _Listener:
    def __init__(
        self,
        child: Child,
        job: Job,
        session: Session | None,
        output: "_Output",
        asked: Asked | None,
    ) -> None:
        self._child = child
        self._call = job.call
        self._limits = job.limits
        self._session = session
        self._output = output
        self._asked = asked
        self.report: asyncio.Future[Report] = asyncio.get_running_loop().create_future()

    def take(self, frame: Frame) -> None:
        """An honest child sends nothing else, nor after its result, nor for another call."""
        of_this_call = call_of(frame.stream) == self._call and not self.report.done()
        if not of_this_call or not self._takes(frame):
            self._child.kill()
            self._child.listen(None)  # what came with it is not believed either

    def end(self) -> None:
        """Whoever answered, or printed, before its process ended was not heard yet."""
        if self._child.conversation is not None:
            self._child.conversation.hear_last_words()
            self._child.conversation.end()

    def _takes(self, frame: Frame) -> bool:
        match frame.kind:
            case Kind.RESULT if len(frame.payload) <= self._max_report_bytes:
                if self._child.conversation is None:
                    self._answered(frame.payload)
                else:
                    self._child.conversation.hear_last_words()
                    self._answered(LastWords(frame.payload))
                return True
            case Kind.READY if self._asked is not None and self._child.conversation is not None:
                printed = Truncating(self._limits.stdout_bytes, self._output.take)
                self._child.conversation.begin(self._asked, printed, self._answered)
                self._asked = None
                return True
            case Kind.OUTPUT:
                # Parsing more of it than is kept would make every other call wait.
                return self._output.take(frame.payload)
            case Kind.REQUEST | Kind.CANCEL if self._session is not None:
                self._session.take(frame)
                return True
            case _:
                return False

    @property
    def _max_report_bytes(self) -> int:
        return self._limits.result_bytes + _REPORT_OVERHEAD_BYTES

    def _answered(self, answer: Report) -> None:
        if not self.report.done():
            self.report.set_result(answer)


class _Output:
    """What is printed, up to a limit: kept, and passed on as it comes."""

    def __init__(self, max_bytes: int, on_output: Callable[[bytes], None] | None) -> None:
        self._max_bytes = max_bytes
        self._on_output = on_output
        self._kept = bytearray()

    @property
    def text(self) -> str:
        return self._kept.decode(errors="ignore")

    def take(self, data: bytes) -> bool:
        """Whether an honest child could have sent it: it sends text, and stops at the limit."""
        if not data or len(self._kept) >= self._max_bytes:
            return False
        taken = data[: self._max_bytes - len(self._kept)]
        self._kept += taken
        if self._on_output is not None:
            self._on_output(taken)
        return True
