"""What the sandbox is measured against: code run in the very process that serves it.

Run in namespaces and by a user of its own, so that what succeeds here harms nobody.
"""

import asyncio
import io
import json
import os
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, TextIO

import httpx

from sandbox.plain import as_json

_MOST_BYTES = 4 * 2**30
_MOST_PRINTED = 30_000_000
_resolved = socket.getaddrinfo
_dumped = json.dumps


class _Secrets(dict[str, str]):
    """As such things are written: another server's secrets lie beside one's own."""

    def __init__(self, own: dict[str, str], store: dict[str, dict[str, str]]) -> None:
        super().__init__(own)
        self._store = store


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    job: dict[str, Any] = json.loads(sys.stdin.read())
    socket.getaddrinfo = _resolve  # our own table
    said = os.fdopen(os.dup(1), "w")
    printed = io.StringIO()
    answer: dict[str, Any] = {"steps": []}

    sys.stdout = printed
    try:
        asyncio.run(_steps(job, answer["steps"], lambda: _write(said, answer)))
    finally:
        answer["stdout"] = printed.getvalue()[:_MOST_PRINTED]
        _write(said, answer)


async def _steps(job: dict[str, Any], steps: list[Any], write: Callable[[], None]) -> None:
    client = httpx.AsyncClient(trust_env=False)
    secrets = _Secrets({"API_KEY": "own-secret"}, {"other": {"API_KEY": job["secret"]}})
    beside: asyncio.Task[object] | None = None

    async def run(code: str) -> object:
        module = ModuleType("tool")
        sys.modules["tool"] = module
        vars(module).update(http=client, secrets=secrets)
        exec(compile(code, "<tool>", "exec"), vars(module))  # noqa: S102  this is the point
        started: Awaitable[object] = module.main()
        return await started

    if job["concurrent"]:
        beside = asyncio.create_task(run(job["concurrent"]))
        await asyncio.sleep(0.3)  # it has to be in the midst of something
    for code in filter(None, (job["pre"], job["code"])):
        try:
            steps.append({"result": await run(code)})
        except BaseException as error:
            steps.append({"error": f"{type(error).__name__}: {str(error)[:300]}"})
            raise
        finally:
            write()
    del beside


def _write(said: TextIO, answer: dict[str, Any]) -> None:
    """A line each time: the last whole one counts."""
    try:
        text = _dumped(answer, default=_plain)
    except BaseException as error:  # noqa: BLE001  the code may have broken anything
        text = _dumped({"steps": [], "error": repr(error)[:300]})
    said.write(text + "\n")
    said.flush()


def _plain(value: object) -> object:
    try:
        return as_json(value)
    except TypeError:
        return repr(value)


def _resolve(host: str | bytes | None, *rest: Any, **named: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host or ""
    if name.endswith(".test"):
        host = "127.0.0.1"
    return _resolved(host, *rest, **named)


if __name__ == "__main__":
    main()
