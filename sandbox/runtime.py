"""Child side: run one tool, or check one, and say how it went.

By now the child is locked down; whatever the code does, it does with nothing.
"""

import asyncio
import base64
import gc
import inspect
import io
import json
import marshal
import sys
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from types import CodeType, MappingProxyType, ModuleType
from typing import Any, cast

import httpx

from sandbox import guard
from sandbox.channel import Channel
from sandbox.compiled import MAX_BYTES
from sandbox.frames import Kind
from sandbox.hints import hint_for
from sandbox.job import Job, Limits
from sandbox.lockdown import rlimits
from sandbox.namespace import safe_builtins
from sandbox.plain import as_json, misfit
from sandbox.tool_loop import ToolLoop
from sandbox.transports import BrokerTransport
from sandbox.truncating import Truncating
from sandbox.warmup import warm_up

_MAX_MESSAGE_CHARACTERS = 2000
_MAX_NAME_CHARACTERS = 100
_MAX_PENDING_CHARACTERS = 4096
_ENCODER = json.JSONEncoder(default=as_json)
_HARMLESS = frozenset({"raised", "bad_result"})
"""Failures after which a process is as good as before."""
_WARM_UPS = 10
"""So often that the interpreter has specialized the code: children then need not write to it."""
_FILE = "<tool>"
_MODULE = "tool"


def prepare() -> None:
    """In the fork server: make what every child then inherits, and fill its caches."""
    asyncio.set_event_loop(_LOOP)
    for _ in range(_WARM_UPS):
        _warm_up()
    gc.set_threshold(20000, 20, 50)


def live(fd: int, *, address_space_bytes: int | None, prewarm: bool) -> None:
    """Serve one job, or as many as a resident is given; the caller then ends the process.

    ``address_space_bytes``: of a fresh child; ``None`` leaves memory and CPU unlimited.
    """
    if prewarm:
        _warm_up()
    channel = BrokerTransport.channel = Channel(fd)
    channel.send(Kind.READY, 0)
    tool = Tool(_OUTPUT)
    while True:
        job = Job.from_bytes(channel.next_job())
        channel.begin(job.call)
        if address_space_bytes is not None:
            rlimits.set_call_limits(
                address_space_bytes=address_space_bytes,
                memory_bytes=job.limits.memory_bytes,
                cpu_s=job.limits.cpu_s,
                resident=job.resident,
            )
        if job.check_only:
            channel.send(Kind.RESULT, job.call, _check(job))
        else:
            channel.send(Kind.RESULT, job.call, tool.serve(job, channel, _CLIENTS.pop()))
        if not job.resident or tool.spoiled:
            channel.wait_for_end()
            return
        _CLIENTS.append(_new_client())


def _check(job: Job) -> bytes:
    findings = guard.check(job.code, frozenset(job.modules))
    compiled = b"" if findings else _compiled(job.code)
    answer = {
        "findings": [finding._asdict() for finding in findings],
        "compiled": base64.b64encode(compiled if len(compiled) <= MAX_BYTES else b"").decode(),
    }
    return json.dumps(answer).encode()


def _compiled(source: str) -> bytes:
    try:
        return marshal.dumps(compile(source, _FILE, "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the call will say so
        return b""


def _new_client() -> httpx.AsyncClient:
    """One for each call, without the cookies of another."""
    return httpx.AsyncClient(transport=BrokerTransport(), trust_env=False)


def _warm_up() -> None:
    warm_up(lambda job, channel, client: Tool(_OUTPUT).serve(job, channel, client))
    del sys.modules[_MODULE]
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


class Tool:
    """Code that is executed once, and then called; often only once, see :class:`Job`."""

    def __init__(self, output: "_Output") -> None:
        self._output = output
        self._names: dict[str, Any] | None = None
        self.spoiled = False

    def serve(self, job: Job, channel: Channel, client: httpx.AsyncClient) -> bytes:
        """The report, as JSON: ``ok``, and ``result`` or ``error``; ``last`` if it is spoiled."""
        self._output.begin(job.limits.stdout_bytes, partial(channel.send, Kind.OUTPUT, job.call))
        sys.stdout = sys.stderr = self._output
        text = None
        failure: dict[str, Any] | None = None
        try:
            value = self._call(job, client)
            text, failure = _encode(value, job.limits.result_bytes)
        except BaseException as error:  # noqa: BLE001  whatever a tool raises is its result
            failure = describe(error, job.limits)
        self._output.flush()
        self.spoiled = job.resident and not self._fit_for_another(failure)
        last = '"last": true, ' if self.spoiled else ""
        if failure is None:
            return f'{{"ok": true, {last}"result": {text}}}'.encode()
        return f'{{"ok": false, {last}"error": {json.dumps(failure)}}}'.encode()

    def _fit_for_another(self, failure: dict[str, Any] | None) -> bool:
        """It is known what state it is in, and it left nothing running."""
        harmless = failure is None or failure["kind"] in _HARMLESS
        return harmless and self._names is not None and _LOOP.is_idle()

    def _call(self, job: Job, client: httpx.AsyncClient) -> object:
        given = {
            "http": client,
            "secrets": MappingProxyType[str, str](_Secrets(job.secrets)),
        }
        if self._names is None:
            self._names = _executed(job, given)
        else:
            self._names.update(given)
        main = self._names.get("main")
        if not callable(main):
            raise _Unusable("The tool defines no `async def main(...)`.")
        return _LOOP.run_until_complete(_started(main, job.arguments))


def _executed(job: Job, given: dict[str, Any]) -> dict[str, Any]:
    code: CodeType = (
        marshal.loads(job.compiled)  # noqa: S302  made by a child, run in one
        if job.compiled
        else compile(job.code, _FILE, "exec", dont_inherit=True)
    )
    module = ModuleType(_MODULE)
    names = vars(module)
    names["__builtins__"] = (
        (safe_builtins(frozenset(job.modules)) if job.modules else _BUILTINS)
        if job.guarded
        else sys.modules["builtins"]
    )
    names.update(given)
    sys.modules[_MODULE] = module  # dataclasses, pydantic and typing look their module up
    exec(code, names)  # noqa: S102  running the tool is what this process is for
    return names


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
        text = _ENCODER.encode(value)
    except MemoryError:
        raise
    except RecursionError:
        return None, _error("bad_result", "The result is nested too deeply, or contains itself.")
    except Exception as error:  # noqa: BLE001  as in run()
        return None, _error("bad_result", f"The result is not JSON: {_unfit(value, error)}")
    if len(text) > limit:
        message = f"The result is {len(text)} bytes of JSON; {limit} are allowed. Return less."
        return None, _error("bad_result", message)
    return text, None


def _unfit(value: object, error: Exception) -> str:
    try:
        found = misfit(value)
    except Exception:  # noqa: BLE001  as in _encode()
        found = None
    return f"{_cleaned(found)}." if found else _text_of(error)


def describe(error: BaseException, limits: Limits) -> dict[str, Any]:
    line = _line_in_tool(error)
    if isinstance(error, MemoryError):
        # What the tool still holds must not keep the report from being written.
        rlimits.release_report_memory()
        allowed = limits.memory_bytes // 2**20
        return _error("memory", f"The tool needed more than its {allowed} MB of memory.", line)
    if isinstance(error, _Unusable):
        return _error("raised", str(error), line)
    hint = hint_for(error)
    return _error("raised", f"{_text_of(error)}. {hint}" if hint else _text_of(error), line)


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
    text = _cleaned(text)
    return (f"{name}: {text}" if text else name)[:_MAX_MESSAGE_CHARACTERS]


def _cleaned(text: str) -> str:
    for path in sys.path:  # where the host keeps Python is nobody's business
        text = text.replace(path, "…") if path else text
    # Neither NUL nor half of a surrogate pair gets through everything that is on the way.
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _line_in_tool(error: BaseException) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == _FILE:
        return error.lineno
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == _FILE]
    return lines[-1] if lines else None


def _error(kind: str, message: str, line: int | None = None) -> dict[str, Any]:
    return {"kind": kind, "message": message, "line": line}


class _Secrets(dict[str, str]):
    def __missing__(self, name: str) -> str:
        shown = str(name)[:_MAX_NAME_CHARACTERS]
        raise KeyError(
            f"the secret {shown} is not set on this server; a person has to set it in the panel "
            "before the tool can use it"
        )


class _Unusable(Exception):
    """The code has no main that these arguments fit."""


class _Output(io.TextIOBase):
    """Sends on the first ``limit`` bytes of what a call prints, line by line.

    So what was printed is known even when the process is killed. Whoever keeps it, as a log handler
    does, prints into the call that is served.
    """

    def begin(self, limit: int, send: Callable[[bytes], None]) -> None:
        self._kept = Truncating(limit, send)
        self._pending: list[str] = []
        self._pending_characters = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not self._kept.is_full:
            self._pending.append(text)
            self._pending_characters += len(text)
            if "\n" in text or self._pending_characters > _MAX_PENDING_CHARACTERS:
                self.flush()
        return len(text)

    def flush(self) -> None:
        data = "".join(self._pending).encode(errors="replace")
        self._pending.clear()
        self._pending_characters = 0
        self._kept.add(data)


_LOOP = ToolLoop()
_BUILTINS = safe_builtins(frozenset())
_OUTPUT = _Output()
_CLIENTS = [_new_client()]
"""That of the next call, made before it comes."""
