"""Child side of an MCP server that speaks over stdio: become it.

By now the child is locked down; whatever the server's code does, it does with nothing.
"""

import asyncio
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

from sandbox.frames import Kind
from sandbox.job import Job, Limits
from sandbox.lockdown import rlimits
from sandbox.runtime import describe
from sandbox.shared_channel import SharedChannel
from sandbox.transports import BrokerTransport

_STACK_BYTES = 2 * 2**20
"""Of a thread; what the system gives by default would soon be all the memory of a call."""


def live(
    fd: int, filter_before_its_code: Callable[[], object], *, address_space_bytes: int | None
) -> None:
    """Until the server ends, or is killed; the caller then ends the process.

    ``address_space_bytes``: of a fresh child; ``None`` leaves memory and CPU unlimited.
    """
    channel = BrokerTransport.channel = SharedChannel(fd)
    channel.send(Kind.READY, 0)
    job = Job.from_bytes(channel.next_job())
    run = _prepared(*job.command)
    filter_before_its_code()
    rlimits.leave_processes_to_others()
    threading.stack_size(_STACK_BYTES)
    begin = partial(_begin, channel, address_space_bytes)
    channel.share(lambda data: begin(Job.from_bytes(data)))
    begin(job)
    _look_like_a_process(job.secrets)
    channel.send(Kind.RESULT, channel.call, _last_words(run, job.limits))


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


def _look_like_a_process(environment: dict[str, str]) -> None:
    """As Python would have started it."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # noqa: SIM115
        2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    os.environ.update(environment)
    asyncio.set_event_loop(asyncio.new_event_loop())  # that of a tool cannot be woken by threads


def _prepared(module: str, *arguments: str) -> Callable[[], None]:
    """The server. Its code is read now: when it is called, files may be out of reach."""
    try:
        spec, code = _found(module)
    except BaseException as error:  # noqa: BLE001  looking for it may run code of its package
        return partial(_fail, error)
    return partial(_run, spec, code, arguments)


def _found(module: str) -> tuple[ModuleSpec, CodeType]:
    """Raises: ImportError: there is no such module; whatever its package raises."""
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{module}.__main__")
    if spec is not None and isinstance(spec.loader, InspectLoader):
        code = spec.loader.get_code(spec.name)
        if code is not None:
            return spec, code
    raise ImportError(f"Module {module!r} has no part that can be run.")


def _fail(error: BaseException) -> None:
    raise error


def _run(spec: ModuleSpec, code: CodeType, arguments: Sequence[str]) -> None:
    """As ``python -m`` does."""
    main = ModuleType("__main__")
    vars(main).update(
        __builtins__=sys.modules["builtins"],
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=spec.loader,
        __package__=spec.parent,
        __spec__=spec,
    )
    sys.modules["__main__"] = main
    sys.argv = [spec.origin or spec.name, *arguments]
    exec(code, vars(main))  # noqa: S102  running the server is what this process is for


def _last_words(run: Callable[[], None], limits: Limits) -> bytes:
    """The report, as JSON: why there will be no more answers."""
    failure = {"kind": "raised", "message": "The server ended without an answer.", "line": None}
    try:
        run()
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001  whatever a server raises ends it
        failure = describe(error, limits)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    return json.dumps({"ok": False, "last": True, "error": failure}).encode()
