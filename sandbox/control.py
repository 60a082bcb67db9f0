"""Messages between the service and its zygote: one datagram each, descriptors beside them."""

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

MAX_MESSAGE = 65536
_MAX_SHOWN_CHARACTERS = 500
_SPAWN = struct.Struct("<IB")
_DESCRIPTOR = struct.Struct("=i")
_STREAMS = 3
_SPAWN_DESCRIPTORS = socket.CMSG_SPACE((1 + _STREAMS) * _DESCRIPTOR.size)
_SPAWNED = struct.Struct("<cII")
_FAILED = struct.Struct("<cI")
_EXITED = struct.Struct("<cIid")


@dataclass(frozen=True)
class Done:
    """One layer of isolation, as the zygote found it after trying."""

    active: bool
    detail: str = ""


@dataclass(frozen=True)
class Started:
    """The zygote is ready: what holds for it holds for every child it forks."""

    layers: dict[str, Done] = field(default_factory=dict[str, Done])
    """Keyed by the layer names of the contract."""
    address_space_bytes: int = 0
    """Of a fresh child; a memory limit counts from here."""
    files_visible: bool = True
    """``False`` where nothing guards paths: then children may make no path system call at all."""


@dataclass(frozen=True)
class StartFailed:
    reason: str


@dataclass(frozen=True)
class Importing:
    """It comes to a module that is not ours."""

    module: str


@dataclass(frozen=True)
class Spawned:
    sequence: int
    pid: int
    """In the zygote's pid namespace: an identity, never to be signalled by number."""
    pidfd: int | None


@dataclass(frozen=True)
class SpawnFailed:
    sequence: int


@dataclass(frozen=True)
class Exited:
    pid: int
    status: int
    """As ``waitpid`` gives it."""
    cpu_s: float


Report = Started | StartFailed | Importing | Spawned | SpawnFailed | Exited


@dataclass(frozen=True)
class Spawn:
    """A child is wanted."""

    sequence: int
    prewarm: bool
    child_fd: int
    streams: tuple[int, ...] = ()
    """Its standard streams, if it is to be a server that speaks over them."""


def send_spawn(control: socket.socket, spawn: Spawn) -> None:
    message = _SPAWN.pack(spawn.sequence, spawn.prewarm)
    _send_with(control, message, spawn.child_fd, *spawn.streams)


def receive_spawn(control: socket.socket) -> Spawn | None:
    """``None`` when the service is gone."""
    message, ancillary, _, _ = control.recvmsg(64, _SPAWN_DESCRIPTORS)
    if not message:
        return None
    sequence, prewarm = _SPAWN.unpack(message)
    child_fd, *streams = (fd for (fd,) in _DESCRIPTOR.iter_unpack(ancillary[0][2]))
    return Spawn(sequence, bool(prewarm), child_fd, tuple(streams))


def send_report(control: socket.socket, report: Report) -> None:
    match report:
        case Started():
            control.send(b"S" + json.dumps(asdict(report)).encode())
        case StartFailed():
            control.send(b"F" + report.reason.encode(errors="replace")[: MAX_MESSAGE - 1])
        case Importing():
            control.send(b"I" + report.module.encode())
        case Spawned():
            message = _SPAWNED.pack(b"P", report.sequence, report.pid)
            if report.pidfd is None:
                control.send(message)
            else:
                _send_with(control, message, report.pidfd)
        case SpawnFailed():
            control.send(_FAILED.pack(b"E", report.sequence))
        case Exited():
            control.send(_EXITED.pack(b"X", report.pid, report.status, report.cpu_s))


def _send_with(control: socket.socket, message: bytes, *descriptors: int) -> None:
    """As ``socket.send_fds``, which imports and fills an array each time."""
    packed = b"".join(map(_DESCRIPTOR.pack, descriptors))
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)
    control.sendmsg([message], [rights])


def receive_report(control: socket.socket) -> Report | None:
    """``None`` when the zygote is gone, or talks nonsense: modules in it may be hostile.

    Raises: BlockingIOError: nothing has arrived.
    """
    space = socket.CMSG_SPACE(array.array("i").itemsize)
    message, ancillary, _, _ = control.recvmsg(MAX_MESSAGE, space)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    try:
        report = _parsed(message, descriptors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error):
        report = None
    used = report.pidfd if isinstance(report, Spawned) else None
    for descriptor in descriptors:
        if descriptor != used:
            os.close(descriptor)
    return report


def _line(text: bytes) -> str:
    """Of what is shown and logged: a module could write lines that look like ours."""
    shown = text.decode(errors="replace")[:_MAX_SHOWN_CHARACTERS]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)


def _parsed(message: bytes, descriptors: Sequence[int]) -> Report | None:
    match message[:1]:
        case b"S":
            given = json.loads(message[1:])
            layers = {name: Done(**done) for name, done in given.pop("layers").items()}
            return Started(layers=layers, **given)
        case b"F":
            return StartFailed(_line(message[1:]))
        case b"I":
            return Importing(_line(message[1:]))
        case b"P":
            _, sequence, pid = _SPAWNED.unpack(message)
            return Spawned(sequence, pid, descriptors[0] if descriptors else None)
        case b"E":
            return SpawnFailed(_FAILED.unpack(message)[1])
        case b"X":
            return Exited(*_EXITED.unpack(message)[1:])
        case _:
            return None
