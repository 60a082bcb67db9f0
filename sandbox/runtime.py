"""Child side: run one tool, or check one, and say how it went.

By now the child is locked down; whatever the code does, it does with nothing.
"""

import asyncio
import gc
import inspect
import io
import json
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType, ModuleType
from typing import Any, cast

import httpx

from sandbox import guard
from sandbox.channel import Channel
from sandbox.frames import Kind, pack
from sandbox.lockdown import rlimits
from sandbox.namespace import safe_builtins
from sandbox.plain import as_json
from sandbox.transports import BrokerTransport

_MAX_MESSAGE_CHARACTERS = 2000
_TRUNCATED = "\n[output truncated: the limit is {limit} bytes]"
_MAX_PENDING_CHARACTERS = 4096
_FILE = "<tool>"
_MODULE = "tool"


@dataclass(frozen=True)
class Limits:
    memory_bytes: int = 256 * 2**20
    cpu_s: int = 60
    stdout_bytes: int = 64 * 2**10
    result_bytes: int = 2**20


@dataclass(frozen=True)
class Job:
    """What the service asks of a child; JSON on the wire. The service is trusted, so no checks."""

    code: str
    modules: list[str] = field(default_factory=list[str])
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    limits: Limits = Limits()
    check_only: bool = False
    guarded: bool = True
    """``False`` gives the code everything Python has, to try the boundary itself."""

    def to_json(self) -> bytes:
        return json.dumps({**vars(self), "limits": vars(self.limits)}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Job":
        given: dict[str, Any] = json.loads(text)
        given["limits"] = Limits(**given["limits"])
        return cls(**given)


def live(fd: int, *, address_space_bytes: int | None, prewarm: bool) -> None:
    """Serve one job; the caller then ends the process.

    ``address_space_bytes``: of a fresh child; ``None`` leaves memory and CPU unlimited.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    if prewarm:
        _warm_up(loop)
    channel = Channel(fd)
    BrokerTransport.channel = channel
    gc.set_threshold(20000, 20, 50)
    channel.send(Kind.READY, 0)
    job = Job.from_json(channel.next_blocking(0).payload)
    if address_space_bytes is not None:
        rlimits.set_call_limits(
            address_space_bytes=address_space_bytes,
            memory_bytes=job.limits.memory_bytes,
            cpu_s=job.limits.cpu_s,
        )
    channel.send(Kind.RESULT, 0, _serve(job, loop, channel))


def warm_up(*, times: int) -> None:
    """Fill caches that every child then inherits."""
    loop = asyncio.new_event_loop()
    for _ in range(times):
        _warm_up(loop)
    loop.close()


def _serve(job: Job, loop: asyncio.AbstractEventLoop, channel: Channel) -> bytes:
    if job.check_only:
        findings = guard.check(job.code, frozenset(job.modules))
        return json.dumps({"findings": [finding._asdict() for finding in findings]}).encode()
    client = httpx.AsyncClient(transport=BrokerTransport(), trust_env=False)
    return run(job, loop, client, partial(channel.send, Kind.OUTPUT, 0))


def run(
    job: Job,
    loop: asyncio.AbstractEventLoop,
    client: httpx.AsyncClient,
    on_output: Callable[[bytes], None],
) -> bytes:
    """The report, as JSON: ``ok``, and ``result`` or ``error``."""
    output = _Output(job.limits.stdout_bytes, on_output)
    sys.stdout = sys.stderr = output
    text = None
    failure: dict[str, Any] | None = None
    try:
        value = _run_main(job, loop, client)
        text, failure = _encode(value, job.limits.result_bytes)
    except BaseException as error:  # noqa: BLE001  whatever a tool raises is its result
        failure = _describe(error, job.limits)
    output.flush()
    if failure is None:
        return f'{{"ok": true, "result": {text}}}'.encode()
    return json.dumps({"ok": False, "error": failure}).encode()


def _run_main(job: Job, loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> object:
    code = compile(job.code, _FILE, "exec", dont_inherit=True)
    module = ModuleType(_MODULE)
    names = vars(module)
    names["__builtins__"] = (
        safe_builtins(frozenset(job.modules)) if job.guarded else sys.modules["builtins"]
    )
    names["http"] = client
    names["secrets"] = MappingProxyType[str, str]({})
    sys.modules[_MODULE] = module  # dataclasses, pydantic and typing look their module up
    exec(code, names)  # noqa: S102  running the tool is what this process is for
    main = names.get("main")
    if not callable(main):
        raise _Unusable("The tool defines no `async def main(...)`.")
    return loop.run_until_complete(_started(main, job.arguments))


def _started(main: Callable[..., object], arguments: dict[str, Any]) -> Awaitable[object]:
    try:
        awaitable = main(**arguments)
    except TypeError as error:
        try:
            inspect.signature(main).bind(**arguments)
        except TypeError as mismatch:
            takes = f"main{inspect.signature(main)}"
            raise _Unusable(f"The arguments do not fit `{takes}`: {mismatch}.") from error
        raise
    if not inspect.isawaitable(awaitable):
        raise _Unusable("`main` must be declared with `async def`.")
    return awaitable


def _encode(value: object, limit: int) -> tuple[str | None, dict[str, Any] | None]:
    """JSON text, or why there is none. Converting runs code of the tool, so anything may raise."""
    try:
        text = json.dumps(value, default=as_json)
    except MemoryError:
        raise
    except RecursionError:
        return None, _error("bad_result", "The result is nested too deeply, or contains itself.")
    except Exception as error:  # noqa: BLE001  as in run()
        return None, _error("bad_result", f"The result is not JSON: {_text_of(error)}")
    if len(text) > limit:
        message = f"The result is {len(text)} bytes of JSON; {limit} are allowed. Return less."
        return None, _error("bad_result", message)
    return text, None


def _describe(error: BaseException, limits: Limits) -> dict[str, Any]:
    line = _line_in_tool(error)
    if isinstance(error, MemoryError):
        # What the tool still holds must not keep the report from being written.
        rlimits.release_report_memory()
        allowed = limits.memory_bytes // 2**20
        return _error("memory", f"The tool needed more than its {allowed} MB of memory.", line)
    if isinstance(error, _Unusable):
        return _error("raised", str(error), line)
    return _error("raised", _text_of(error), line)


def _text_of(error: BaseException) -> str:
    name = type(error).__name__
    try:
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            text = f"{group.message}: {'; '.join(map(_text_of, group.exceptions[:3]))}"
        else:
            text = str(error)
    except BaseException:  # noqa: BLE001  __str__ is code of the tool
        text = "(its message cannot be shown)"
    for path in sys.path:  # where the host keeps Python is nobody's business
        text = text.replace(path, "…") if path else text
    # Neither NUL nor half of a surrogate pair gets through everything that is on the way.
    text = text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return (f"{name}: {text}" if text else name)[:_MAX_MESSAGE_CHARACTERS]


def _line_in_tool(error: BaseException) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == _FILE:
        return error.lineno
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == _FILE]
    return lines[-1] if lines else None


def _error(kind: str, message: str, line: int | None = None) -> dict[str, Any]:
    return {"kind": kind, "message": message, "line": line}


class _Unusable(Exception):
    """The code has no main that these arguments fit."""


class _Output(io.TextIOBase):
    """Sends on the first ``limit`` bytes of what is printed, line by line.

    So what was printed is known even when the process is killed.
    """

    def __init__(self, limit: int, send: Callable[[bytes], None]) -> None:
        self._limit = limit
        self._room = limit
        self._send = send
        self._pending: list[str] = []
        self._pending_characters = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if self._room >= 0:
            self._pending.append(text)
            self._pending_characters += len(text)
            if "\n" in text or self._pending_characters > _MAX_PENDING_CHARACTERS:
                self.flush()
        return len(text)

    def flush(self) -> None:
        data = "".join(self._pending).encode(errors="replace")
        self._pending.clear()
        self._pending_characters = 0
        if not data or self._room < 0:
            return
        if len(data) > self._room:
            data = data[: self._room] + _TRUNCATED.format(limit=self._limit).encode()
            self._room = -1
        else:
            self._room -= len(data)
        self._send(data)


_WARM_JOB = Job(
    code="""
import asyncio, datetime, json, re
class Pair:
    def __init__(self, left): self.left = left
async def main(left=1, **rest):
    await asyncio.sleep(0)
    print("warm")
    answer = await http.get("http://warm.invalid/x", params={"a": 1}, headers={"X": "y"})
    squares = [i * i for i in range(10)]
    return {"left": Pair(left).left, "squares": squares, "answer": answer.json(), "f": f"{left:>5}"}
""",
    arguments={"left": 2},
)


class _WarmTransport(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        body = httpx.ByteStream(b'{"k": [1]}')
        return httpx.Response(200, headers={"content-type": "application/json"}, stream=body)


def _warm_up(loop: asyncio.AbstractEventLoop) -> None:
    """Run a dummy tool: it touches the pages a real call will write to; nothing of it survives."""
    client = httpx.AsyncClient(transport=_WarmTransport(), trust_env=False)
    own_end, other_end = socket.socketpair()
    with own_end, other_end:
        channel = Channel(own_end.fileno())
        other_end.sendall(pack(Kind.JOB, 0, _WARM_JOB.to_json()))
        job = Job.from_json(channel.next_blocking(0).payload)
        report = run(job, loop, client, partial(channel.send, Kind.OUTPUT, 0))
        channel.send(Kind.RESULT, 0, report)
    if not report.startswith(b'{"ok": true'):
        raise RuntimeError(f"the warm-up tool failed: {report.decode()}")
    del sys.modules[_MODULE]
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
