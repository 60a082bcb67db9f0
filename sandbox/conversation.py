"""Service side of a server's standard streams: what is said over them, during a call."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.dialogue import Asked, Broken, Dialogue, too_much
from sandbox.truncating import Truncating

_READ_BYTES = 65536
_BESIDES_THE_RESULT_BYTES = 65536
"""What a server may say in one call, beyond a result of the size that is allowed."""
_DOUBT_S = 0.2

Answered = Callable[[bytes | Broken], None]


class Conversation:
    """Between calls nothing is read: a server that goes on talking then waits for the next one."""

    def __init__(self, stdin: int, stdout: int, stderr: int) -> None:
        """Takes the descriptors over: the ends that are not the server's."""
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._loop = asyncio.get_running_loop()
        self._dialogue = Dialogue()
        self._unread = bytearray()
        self._unsent = bytearray()
        self._call: _Call | None = None
        self._closed = False

    @classmethod
    def opened(cls) -> "tuple[Conversation, tuple[int, int, int]]":
        """With the ends that are the server's, for the caller to pass on and close."""
        stdin, ours = os.pipe2(os.O_CLOEXEC)
        out, stdout = os.pipe2(os.O_CLOEXEC)
        err, stderr = os.pipe2(os.O_CLOEXEC)
        for end in (ours, out, err):
            os.set_blocking(end, False)
        return cls(ours, out, err), (stdin, stdout, stderr)

    def begin(self, asked: Asked, printed: Truncating, answered: Answered) -> None:
        """``answered`` is told once: the report, or what the server did instead."""
        room_bytes = asked.max_result_bytes + _BESIDES_THE_RESULT_BYTES
        self._call = _Call(printed, answered, room_bytes)
        self._loop.add_reader(self._stdout, self._hear)
        self._loop.add_reader(self._stderr, self._catch_printed)
        self._say(self._dialogue.begin(asked))
        self._take_lines()

    def hear_last_words(self) -> None:
        """Of a server that is gone."""
        if self._is_open:
            self._hear()

    def end(self) -> None:
        """With what was printed up to now."""
        if self._call is not None and not self._closed:
            self._catch_printed()
            self._leave()

    def close(self) -> None:
        if not self._closed:
            self._leave()
            self._closed = True
            for end in (self._stdin, self._stdout, self._stderr):
                os.close(end)

    @property
    def _is_open(self) -> bool:
        """An answer is still waited for."""
        return self._call is not None and not self._call.over and not self._closed

    def _leave(self) -> None:
        if self._call is not None and self._call.doubt is not None:
            self._call.doubt.cancel()
        self._call = None
        self._loop.remove_reader(self._stdout)
        self._loop.remove_reader(self._stderr)
        self._loop.remove_writer(self._stdin)

    def _answer(self, answer: bytes | Broken) -> None:
        if self._call is not None and not self._call.over:
            self._call.over = True
            self._loop.remove_reader(self._stdout)
            self._call.answered(answer)

    def _doubt(self, broken: Broken) -> None:
        """If its process has ended, that will be said, and says more."""
        if self._call is not None and self._call.doubt is None:
            self._call.doubt = self._loop.call_later(_DOUBT_S, self._answer, broken)

    def _hear(self) -> None:
        data = _read(self._stdout)
        if data == b"":
            self._loop.remove_reader(self._stdout)
            self._doubt(Broken("closed its output without an answer"))
        if data and self._call is not None:
            self._call.room_bytes -= len(data)
            self._unread += data
            self._take_lines()
            if self._call.room_bytes < 0:
                self._answer(too_much())

    def _take_lines(self) -> None:
        """Up to the answer; what is no line of a message is printed by the server."""
        unread, start, printed = self._unread, 0, bytearray()
        while self._is_open:
            is_message = unread.startswith(b"{", start)
            end = unread.find(b"\n" if is_message else b"\n{", start)
            if end < 0 and not is_message:
                end = unread.rfind(b"\n", start)
            if end < 0:
                break
            line, start = bytes(unread[start : end + 1]), end + 1
            if not (is_message and self._takes(line)):
                printed += line
        del unread[:start]
        if self._call is not None:
            self._call.printed.add(bytes(printed))

    def _takes(self, line: bytes) -> bool:
        try:
            said = self._dialogue.take(line)
        except Broken as broken:
            self._answer(broken)
            return True
        if said:
            self._say(said)
        if self._dialogue.report is not None:
            self._answer(self._dialogue.report)
        return said is not None

    def _catch_printed(self) -> None:
        data = _read(self._stderr)
        if data == b"":
            self._loop.remove_reader(self._stderr)
        if data and self._call is not None:
            self._call.printed.add(data)

    def _say(self, data: bytes) -> None:
        self._unsent += data
        self._send()

    def _send(self) -> None:
        try:
            sent = os.write(self._stdin, self._unsent)
        except BlockingIOError:
            sent = 0
        except BrokenPipeError:
            self._loop.remove_writer(self._stdin)
            self._doubt(Broken("closed its input"))
            return
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._stdin, self._send)
        else:
            self._loop.remove_writer(self._stdin)


@dataclass
class _Call:
    printed: Truncating
    answered: Answered
    room_bytes: int
    """For all that the server may still say."""
    over: bool = False
    doubt: asyncio.TimerHandle | None = None


def _read(end: int) -> bytes | None:
    """Nothing at its end; ``None`` when there is nothing yet."""
    try:
        return os.read(end, _READ_BYTES)
    except BlockingIOError:
        return None
