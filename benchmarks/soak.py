"""Load for as long as wanted, of every kind of call; then, what it left behind."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from benchmarks.processes import members, resident_bytes
from benchmarks.samples import BenchmarkFailed
from benchmarks.sandbox_service import SandboxClient, SandboxService, client_of, running_sandbox
from benchmarks.tool import ANSWER, ARGUMENTS, CODE
from sandbox.contract import Bundle, ErrorKind, IsolationMode, RunLimits
from sandbox.residents import Terms

_CLIENTS = 16
_WARM_UP_S = 5.0
"""Before the first look: what is made once, on first use, is no leak."""
_SETTLE_S = Terms().idle_s + 5
"""After the last call: then residents and kept connections are gone, and the pool is full again."""
_LOOKS = 10
_MIB = 2**20
_ANSWER = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"sum": 3}'
)


@dataclass(frozen=True)
class Kind:
    """One kind of call; nothing in it depends on what was called before."""

    name: str
    share: int
    """Of all calls, in percent."""
    bundle: Bundle
    arguments: Mapping[str, Any]
    limits: RunLimits = RunLimits()  # noqa: RUF009  frozen
    error: ErrorKind | None = None
    """How it fails; ``None``: it answers."""


@dataclass(frozen=True)
class Traces:
    """What a service, its fork server and its children hold."""

    service_mib: float
    fork_server_and_children_mib: float
    processes: int
    zombies: int
    descriptors: int
    """Of the service."""
    namespaces: int
    """Different ones, of the service and all below it."""
    mounts: int
    """Of this machine's own root."""
    cgroups: int


@dataclass(frozen=True)
class Soak:
    seconds: float
    calls: dict[str, int]
    errors: dict[str, int]
    """``{what was unexpected: how often}``; empty when all went well."""
    per_second: float
    service_mib: tuple[float, ...] = ()
    """After each tenth of the time: flat, but for what is made once."""
    before: Traces | None = None
    after: Traces | None = None


async def soak(seconds: float) -> Soak:
    async with _origin() as port:
        with running_sandbox(private_hosts=f"localhost:{port}") as service:
            async with client_of(service) as client:
                kinds = _kinds(service, port)
                await _load(client, kinds, min(_WARM_UP_S, seconds))
                await asyncio.sleep(_SETTLE_S)
                before = traces(service)
                found, along = await asyncio.gather(
                    _load(client, kinds, seconds), _watch(service, seconds)
                )
                await asyncio.sleep(_SETTLE_S)
                return replace(found, service_mib=along, before=before, after=traces(service))


async def _watch(service: SandboxService, seconds: float) -> tuple[float, ...]:
    found: list[float] = []
    for _ in range(_LOOKS):
        await asyncio.sleep(seconds / _LOOKS)
        found.append(_service_mib(service))
    return tuple(found)


async def _load(client: SandboxClient, kinds: list[Kind], seconds: float) -> Soak:
    calls: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    began = time.monotonic()

    async def work(seed: int) -> None:
        choice = random.Random(seed)  # noqa: S311  the same mixture every time
        while time.monotonic() - began < seconds:
            (kind,) = choice.choices(kinds, [kind.share for kind in kinds])
            await _one(client, kind, calls, errors)

    await asyncio.gather(*map(work, range(_CLIENTS)))
    elapsed = time.monotonic() - began
    per_second = calls.total() / elapsed
    return Soak(round(elapsed, 1), dict(calls), dict(errors), round(per_second, 1))


async def _one(
    client: SandboxClient, kind: Kind, calls: Counter[str], errors: Counter[str]
) -> None:
    calls[kind.name] += 1
    try:
        result = await client.run(kind.bundle, dict(kind.arguments), limits=kind.limits)
    except (BenchmarkFailed, OSError, TimeoutError) as error:
        errors[f"{kind.name}: {error}"] += 1
        return
    found = result.error.kind if result.error else None
    if found is not kind.error:
        errors[f"{kind.name}: {result.error}"] += 1
    elif kind.error is None and result.result != ANSWER:
        errors[f"{kind.name}: answered {result.result}"] += 1


def _kinds(service: SandboxService, port: int) -> list[Kind]:
    def code(text: str, **more: Any) -> Bundle:
        return service.released(Bundle(code=f"async def main(**given):\n    {text}\n", **more))

    host = f"localhost:{port}"
    fetch = f'return (await http.get("http://{host}/")).json()'
    release = IsolationMode.RELEASE
    short = RunLimits(wall_s=0.2)
    small = RunLimits(memory_bytes=2**26)
    return [
        Kind("call", 40, service.released(Bundle(code=CODE)), ARGUMENTS),
        Kind("release", 25, service.released(Bundle(code=CODE, isolation=release)), ARGUMENTS),
        Kind("http", 12, code(fetch, hosts=(host,)), {}),
        Kind("http, release", 8, code(fetch, hosts=(host,), isolation=release), {}),
        Kind("raises", 5, code("raise ValueError"), {}, error=ErrorKind.RAISED),
        Kind("memory", 4, code("return [0] * 10**9"), {}, small, ErrorKind.MEMORY),
        Kind("timeout", 2, code("while True: pass"), {}, short, ErrorKind.WALL),
        Kind("crash", 2, code(_CRASH), {}, error=ErrorKind.CRASHED),
        Kind("crash, release", 2, code(_CRASH, isolation=release), {}, error=ErrorKind.CRASHED),
    ]


_CRASH = """endless = iter([])
    for _ in range(10**6): endless = filter(bool, endless)
    next(endless, None)  # ends on the stack of the interpreter itself"""


def traces(service: SandboxService) -> Traces:
    family = members(service.pid)
    return Traces(
        service_mib=_service_mib(service),
        fork_server_and_children_mib=round(resident_bytes(family - {service.pid}) / _MIB, 1),
        processes=len(family),
        zombies=sum(map(_is_zombie, family)),
        descriptors=len(os.listdir(f"/proc/{service.pid}/fd")),
        namespaces=len({link for pid in family for link in _namespaces(pid)}),
        mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
        cgroups=sum(1 for _ in Path("/sys/fs/cgroup").rglob("cgroup.procs")),
    )


def _service_mib(service: SandboxService) -> float:
    return round(resident_bytes([service.pid]) / _MIB, 1)


def _is_zombie(pid: int) -> bool:
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "Z"
    return False


def _namespaces(pid: int) -> list[str]:
    found: list[str] = []
    with suppress(OSError):  # those of another user are not for everybody to see
        directory = f"/proc/{pid}/ns"
        found = [os.readlink(f"{directory}/{name}") for name in os.listdir(directory)]
    return found


class _Origin(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(_ANSWER)


@asynccontextmanager
async def _origin() -> AsyncGenerator[int]:
    """Its port, on this host."""
    server = await asyncio.get_running_loop().create_server(_Origin, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def as_text(found: Soak) -> str:
    lines = [f"{sum(found.calls.values())} calls in {found.seconds} s, {found.per_second} a second"]
    lines += [f"  {name}: {count}" for name, count in sorted(found.calls.items())]
    lines.append(f"unexpected: {sum(found.errors.values())}")
    lines += [f"  {count} x {what}" for what, count in sorted(found.errors.items())]
    if found.before and found.after:
        before, after = asdict(found.before), asdict(found.after)
        lines.append(f"{'':<32}{'before':>10}{'after':>10}")
        lines += [f"{name:<32}{before[name]:>10}{after[name]:>10}" for name in before]
        lines.append("service_mib, at each tenth: " + " ".join(map(str, found.service_mib)))
    return "\n".join(lines)
