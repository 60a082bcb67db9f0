"""Service side of the zygote: start it, ask it for children, notice when it dies."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import httpx
import pydantic
import typing_extensions

import sandbox
from sandbox.ancestry import lies_below
from sandbox.child import Child, ChildFailed
from sandbox.control import (
    MAX_MESSAGE,
    Done,
    Exited,
    Importing,
    Report,
    Spawn,
    Spawned,
    SpawnFailed,
    Started,
    StartFailed,
    receive_report,
    send_spawn,
)
from sandbox.conversation import Conversation
from sandbox.foreign import FOREIGN_ENVIRONMENT, ForeignModules
from sandbox.lockdown.cgroups import Cgroup, NoCgroup, family_of
from sandbox.zygote import BOOTSTRAP, ENVIRONMENT, Order

_START_TIMEOUT_S = 60.0
_IMPORT_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 3.0
_REPORTS_AT_ONCE = 64
_LARGEST_SEQUENCE = 0x7FFFFFFF
NO_CGROUP = NoCgroup("left out")


class ZygoteFailed(Exception):
    pass


class ModulesFailed(ZygoteFailed):
    """Fit for the author: which module, and what happened."""


class Zygote:
    """Made by :func:`launch`."""

    def __init__(
        self, process: subprocess.Popen[bytes], control: socket.socket, *, trusted: bool
    ) -> None:
        self._process = process
        self._trusted = trusted
        self._importing: str | None = None
        self._control = control
        self._control.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._sequence = 0
        self._unborn: dict[int, Child] = {}
        self._children: dict[int, Child] = {}
        self._first: asyncio.Future[Report | None] = self._loop.create_future()
        self._on_death: Callable[[], None] | None = None
        self._cgroup: Cgroup | None = None
        self.started = Started()
        self.dead = False
        self._loop.add_reader(self._control.fileno(), self._receive)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def when_dead(self, callback: Callable[[], None]) -> None:
        self._on_death = callback

    async def wait_started(self) -> None:
        """Raises: ZygoteFailed: saying why, where the zygote could."""
        limit_s = _START_TIMEOUT_S if self._trusted else _IMPORT_TIMEOUT_S
        try:
            async with asyncio.timeout(limit_s):
                report = await self._first
        except TimeoutError:
            self._blame_module(f"that took longer than {limit_s:g} s")
            raise ZygoteFailed(f"no answer within {limit_s:g} s") from None
        if report is None:
            self._blame_module("its process ended while it was imported")
        match report:
            case Started():
                self.started = report
            case StartFailed(reason):
                raise ZygoteFailed(reason)
            case _:
                raise ZygoteFailed("it ended without a word")

    async def enter(self, cgroup: Cgroup | NoCgroup) -> None:
        """Before it forks: its children are then inside without being moved. Raises: ZygoteFailed.

        Only where there is none to be had it stays outside.
        """
        if isinstance(cgroup, NoCgroup):
            self.started.layers["cgroup"] = Done(active=False, detail=str(cgroup))
            return
        try:
            await asyncio.to_thread(lambda: cgroup.adopt(family_of(self.process_id)))
        except NoCgroup as error:
            raise ZygoteFailed(f"cgroup: {error}") from error
        self._cgroup = cgroup
        self.started.layers["cgroup"] = Done(active=True, detail=cgroup.described)

    def children_are_in_cgroup(self) -> bool:
        """As the kernel has it, of those that live now."""
        pids = [child.process_id for child in self._children.values()]
        known = [pid for pid in pids if pid is not None]
        return self._cgroup is not None and self._cgroup.holds(known)

    def _blame_module(self, happened: str) -> None:
        if self._importing is not None:
            raise ModulesFailed(f"Module {self._importing!r} cannot be imported here: {happened}.")

    def spawn(self, *, prewarm: bool = False, speaks: bool = False) -> Child:
        """``speaks``: it is to be a server that speaks over stdio. Raises: ChildFailed."""
        own_end, child_end = socket.socketpair()
        conversation, streams = Conversation.opened() if speaks else (None, ())
        child = Child(own_end, conversation)
        self._sequence = self._sequence % _LARGEST_SEQUENCE + 1
        asked = Spawn(self._sequence, prewarm, child_end.fileno(), streams)
        try:
            send_spawn(self._control, asked)
        except OSError as error:
            child.close()
            raise ChildFailed("The sandbox's fork server does not answer.") from error
        finally:
            child_end.close()
            for fd in streams:
                os.close(fd)
        self._unborn[self._sequence] = child
        return child

    async def stop(self) -> None:
        """End it and every child, and wait until they are gone."""
        self._on_death = None
        self._died()
        try:
            await asyncio.to_thread(self._process.wait, _STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _receive(self) -> None:
        for _ in range(_REPORTS_AT_ONCE):  # one that never stops talking is not all we serve
            if self.dead:
                return
            try:
                report = receive_report(self._control)
            except BlockingIOError:
                return
            except ConnectionResetError:
                report = None
            if self._first.done() and isinstance(report, Started | StartFailed | Importing):
                report = None  # it is said once, before all else
            elif not self._first.done() and not isinstance(report, Importing):
                self._first.set_result(report)
            self._take(report)

    def _take(self, report: Report | None) -> None:
        match report:
            case Importing(module):
                self._importing = module
            case Spawned(sequence, pid, pidfd):
                self._adopt(sequence, pid, pidfd)
            case SpawnFailed(sequence):
                if child := self._unborn.pop(sequence, None):
                    child.failed("no process could be forked")
                else:
                    self._died()
            case Exited(pid):
                if child := self._children.pop(pid, None):
                    child.ended(report)
                elif not self._trusted:
                    self._died()
            case None:
                self._died()
            case _:
                pass

    def _adopt(self, sequence: int, pid: int, pidfd: int | None) -> None:
        child = self._unborn.pop(sequence, None)
        if child is None or not self._may_hand_over(pidfd):
            if pidfd is not None:
                os.close(pidfd)
            self._died()
            return
        self._children[pid] = child
        child.spawned(pid, pidfd)

    def _may_hand_over(self, pidfd: int | None) -> bool:
        if self._trusted:
            return True
        return pidfd is not None and lies_below(pidfd, self.process_id)

    def _died(self) -> None:
        if self.dead:
            return
        self.dead = True
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        for child in [*self._unborn.values(), *self._children.values()]:
            child.kill()
            child.ended(None)
        self._unborn.clear()
        self._children.clear()
        if self._on_death is not None:
            self._on_death()


async def launch(
    without: frozenset[str] = frozenset(),
    cgroup: Cgroup | NoCgroup = NO_CGROUP,
    foreign: ForeignModules | None = None,
) -> Zygote:
    """``without`` leaves layers out, to see how the rest holds.

    Raises: ZygoteFailed; ModulesFailed: one of ``foreign`` keeps it from starting.
    """
    zygote = Zygote(*_start(without, foreign), trusted=foreign is None)
    try:
        if foreign is not None:
            await zygote.enter(cgroup)  # before it runs any code that is not ours
        await zygote.wait_started()
        await zygote.enter(cgroup)
    except BaseException:  # whoever is not waited for any more has nobody else to end it
        await zygote.stop()
        raise
    return zygote


def _start(
    without: frozenset[str], foreign: ForeignModules | None
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    own_end, zygote_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        own_end.setsockopt(socket.SOL_SOCKET, option, 4 * MAX_MESSAGE)
    packages = [_directory_above(module.__file__) for module in (httpx, pydantic)]
    packages.append(str(Path(typing_extensions.__file__ or "").parent))
    ours = _directory_above(sandbox.__file__)
    order = Order(
        service_pid=os.getpid(),
        import_paths=list(dict.fromkeys([*packages, ours])),
        visible_paths=[*packages, f"{ours}/sandbox", *([foreign.directory] if foreign else [])],
        without=sorted(without),
        foreign=asdict(foreign) if foreign else None,
    )
    arguments = [str(zygote_end.fileno()), json.dumps(asdict(order))]
    with zygote_end:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and code
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", BOOTSTRAP, *arguments],
            pass_fds=[zygote_end.fileno()],
            env=FOREIGN_ENVIRONMENT if foreign else ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return process, own_end


def _directory_above(package_file: str | None) -> str:
    return str(Path(package_file or "").parent.parent)
