"""Who the snippets are run by: a sandbox in some mode, or the naive thing as a control."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from tests.corpus.modes import ORDINARY_ID, Mode
from tests.corpus.snippets import Abuse
from tests.corpus.targets import Targets
from tests.corpus.world import ROOT

START_TIMEOUT_S = 60
_PATIENCE_S = 10
_LINE_BYTES = 256 * 2**20
_HEALTHY = "async def main():\n    return 41 + 1\n"


class NotStarted(Exception):
    """Fit for whoever runs the corpus."""


@dataclass(frozen=True)
class Tried:
    """How a snippet went."""

    answer: dict[str, Any] = field(default_factory=dict[str, Any])
    """Its result, error and standard output."""
    before: object = None
    """What the call before it returned."""
    size_bytes: int = 0
    spent_s: float = 0.0
    died: bool = False
    """The process that serves all calls."""


class Subject(Protocol):
    async def attempt(self, abuse: Abuse, *, guarded: bool) -> Tried: ...


class Sandbox:
    """Restarted after each death."""

    def __init__(self, name: str, mode: Mode, targets: Targets, wall_s: float) -> None:
        self._name = name
        self._mode = mode
        self._targets = targets
        self._wall_s = wall_s
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], int]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._numbers = count(1)
        self.started: dict[str, Any] = {}
        """Its level and layers."""

    async def start(self) -> None:
        given = {
            "without": self._mode.without,
            "allowed": f"127.0.0.1:{self._targets.web.port}",
            "port": self._targets.ports["tcp"],
            "secret": self._targets.tokens.secret,
        }
        host = [sys.executable, "-B", "-m", "tests.corpus.host", json.dumps(given)]
        confined = [sys.executable, "-B", "-m", "tests.corpus.modes", self._name, *host]
        self._process = await asyncio.create_subprocess_exec(
            *confined,
            cwd=ROOT,
            env={"PATH": os.defpath, "CANARY_ENV": self._targets.tokens.environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await self._process.stdout.readline()
            if not line:
                said = await self._process.stderr.read()
                raise NotStarted(said.decode(errors="replace").strip()[-500:])
        self.started = json.loads(line)
        self._reading = asyncio.create_task(self._read(self._process))

    async def stop(self) -> None:
        if self._process is None:
            return
        if self._reading is not None:
            self._reading.cancel()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def attempt(self, abuse: Abuse, *, guarded: bool) -> Tried:
        loop = asyncio.get_running_loop()
        before: object = None
        if abuse.pre is not None:
            answer, _ = await self.run(abuse.pre, guarded=guarded, server=abuse.server)
            before = answer.get("result")
        beside: asyncio.Task[Any] | None = None
        if abuse.concurrent is not None:
            running = self.run(abuse.concurrent, guarded=guarded, server=abuse.server)
            beside = asyncio.create_task(running)
            await asyncio.sleep(0.3)  # it has to be in the midst of something
        begun = loop.time()
        answer, size = await self.run(abuse.code, guarded=guarded, server=abuse.server)
        spent_s = loop.time() - begun
        if beside is not None:
            await beside
        healthy, _ = await self.run(_HEALTHY, guarded=False)
        died = healthy.get("result") != 42
        if died:
            await self.stop()
            await self.start()
        return Tried(answer, before, size, spent_s, died)

    async def run(
        self,
        code: str,
        arguments: dict[str, Any] | None = None,
        *,
        guarded: bool,
        server: str = "default",
        wall_s: float | None = None,
    ) -> tuple[dict[str, Any], int]:
        """The result, and how many bytes it was; empty when the process does not answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        wall_s = wall_s or self._wall_s
        number = next(self._numbers)
        answered = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        asked = {
            "id": number,
            "code": code,
            "arguments": arguments or {},
            "guarded": guarded,
            "server": server,
            "wall_s": wall_s,
        }
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            async with asyncio.timeout(wall_s + _PATIENCE_S):
                await self._process.stdin.drain()
                return await answered
        except (TimeoutError, ConnectionError):
            return {}, 0
        finally:
            del self._waiting[number]

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            waiting = self._waiting.get(answer["id"])
            if waiting is not None and not waiting.done():
                waiting.set_result((answer["result"], len(line)))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError())


class Naive:
    """The control: a throwaway process for each snippet, and no sandbox."""

    def __init__(self, targets: Targets, wall_s: float) -> None:
        self._targets = targets
        self._wall_s = wall_s

    async def attempt(self, abuse: Abuse, *, guarded: bool) -> Tried:
        del guarded
        job = {
            **abuse.model_dump(include={"code", "pre", "concurrent"}),
            "secret": self._targets.tokens.secret,
        }
        loop = asyncio.get_running_loop()
        begun = loop.time()
        process = await asyncio.create_subprocess_exec(
            *_in_own_namespaces(),
            *(sys.executable, "-B", "-m", "tests.corpus.naive"),
            cwd=ROOT,
            env={"PATH": os.defpath, "CANARY_ENV": self._targets.tokens.environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        asking = asyncio.create_task(process.communicate(json.dumps(job).encode()))
        done, _ = await asyncio.wait((asking,), timeout=self._wall_s + _PATIENCE_S)
        if not done:
            process.kill()
        said, _ = await asking
        return _judged(said, process.returncode or 0, loop.time() - begun, hung=not done)


@asynccontextmanager
async def sandbox_in(
    name: str, mode: Mode, targets: Targets, wall_s: float
) -> AsyncGenerator[Sandbox]:
    """Raises: NotStarted."""
    sandbox = Sandbox(name, mode, targets, wall_s)
    try:
        await sandbox.start()
        yield sandbox
    finally:
        await sandbox.stop()


def _in_own_namespaces() -> list[str]:
    unshare = shutil.which("unshare") or "unshare"
    isolated = [unshare, "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    isolated += ["--mount", "--mount-proc", "--ipc", "--uts"]
    if os.getuid() != 0:
        return isolated
    setpriv = shutil.which("setpriv") or "setpriv"
    user = [f"--reuid={ORDINARY_ID}", f"--regid={ORDINARY_ID}", "--clear-groups"]
    return [setpriv, *user, *isolated]


def _judged(said: bytes, code: int, spent_s: float, *, hung: bool) -> Tried:
    """The last whole line of JSON is the answer; the snippet may have written anything between."""
    answer: dict[str, Any] = {}
    for line in reversed(said.splitlines()):
        try:
            answer = json.loads(line)
            break
        except ValueError:
            continue
    steps: list[dict[str, Any]] = answer.get("steps") or []
    before = steps[0].get("result") if len(steps) > 1 else None
    last = steps[-1] if steps else {}
    shown = {**last, "stdout": f"{answer.get('stdout', '')}{said[:5000].decode('latin-1')}"}
    died = hung or code != 0 or not steps
    return Tried(shown, before, len(said), spent_s, died)
