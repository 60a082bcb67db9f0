"""The fork server: locked down once, it forks children that inherit that and add their own locks.

It is exec'd fresh, with an empty environment, so no secret of the service is in its memory.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sandbox import namespace, runtime, serving
from sandbox.control import (
    Done,
    Exited,
    Importing,
    Spawn,
    Spawned,
    SpawnFailed,
    Started,
    StartFailed,
    receive_spawn,
    send_report,
)
from sandbox.foreign import ForeignModules, Stages, StagesByThreads, bring_in, load_what_is_ours
from sandbox.lockdown import landlock, namespaces, privileges, rlimits, seccomp
from sandbox.preload import preload, preload_time_zones
from sandbox.transports import replace_transports

CHILD_FD = 3
ENVIRONMENT = {"LD_BIND_NOW": "1"}
"""Nothing of the service's own; what each child would look up of a library, and write, is done."""
BOOTSTRAP = """
import json, sys
sys.path += json.loads(sys.argv[2])["import_paths"]
from sandbox import lean
lean.leave_out()
from sandbox.zygote import main
main()
"""
"""For ``python -c``: isolated mode knows no site-packages; ours come last and shadow nothing."""

_DATA_PATHS = ("/etc/localtime", "/usr/share/zoneinfo")


@dataclass(frozen=True)
class Order:
    """What the service asks of a zygote; JSON in its second argument."""

    service_pid: int
    import_paths: list[str]
    visible_paths: list[str]
    without: list[str]
    """Layers to leave out, to see how the rest holds; the service itself never does."""
    foreign: dict[str, Any] | None = None
    """The fields of :class:`ForeignModules`; ``None`` for only what is ours."""

    @property
    def foreign_modules(self) -> ForeignModules | None:
        return ForeignModules(**self.foreign) if self.foreign else None


@dataclass(frozen=True)
class ChildLocks:
    """What a fresh child still has to put on, laid out before the fork; the rest it inherits."""

    restrict_paths: Callable[[], object]
    die_with_parent: Callable[[], object]
    filter_calls: StagesByThreads
    address_space_bytes: int | None
    """Of a fresh child; ``None`` leaves memory and CPU of a call unlimited."""


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    order = Order(**json.loads(sys.argv[2]))
    try:
        privileges.die_with_parent(order.service_pid)
        locks, started = lock_down(control, order)
    except Exception as error:  # noqa: BLE001  the service must learn why, whatever it was
        send_report(control, StartFailed(f"{type(error).__name__}: {error}"))
        sys.exit(1)
    send_report(control, started)
    serve(control, locks)


def lock_down(control: socket.socket, order: Order) -> tuple[ChildLocks, Started]:
    """The order of steps matters: each takes away what a later one would need."""
    layers: dict[str, Done] = {}

    def layer(name: str, *steps: Callable[[], object]) -> bool:
        layers[name] = Done(active=False, detail="left out")
        if name not in order.without:
            layers[name] = _attempt(*steps)
        return layers[name].active

    foreign = order.foreign_modules
    privileges.no_new_privileges()
    own_namespaces = layer("namespaces", namespaces.enter_namespaces)
    if own_namespaces:
        _continue_as_first_process(control)
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    _load_ours(foreign)
    visible = _outermost([sysconfig.get_path("stdlib"), *_DATA_PATHS, *order.visible_paths])
    layers["private_root"] = Done(active=False, detail="needs the namespaces")
    if own_namespaces:
        layer("private_root", lambda: namespaces.enter_private_root(visible))
    rulesets: list[int] = []
    layer("landlock", lambda: rulesets.append(landlock.open_ruleset(visible)))
    dropped = _drop_root(foreign)
    if not dropped.active:
        detail = f"still root without capabilities: {dropped.detail}"
        layers["namespaces"] = Done(own_namespaces, detail)
    privileges.drop_capabilities()
    privileges.die_with_parent()
    privileges.hide_from_same_user()
    if rulesets:
        layer("landlock", lambda: landlock.restrict(rulesets[0]))
        if layers["landlock"].active:
            layers["landlock"] = Done(active=True, detail=f"ABI {landlock.abi()}")
    # Landlock alone would still tell which paths exist.
    files_visible = layers["private_root"].active
    if not files_visible:
        preload_time_zones()
    with_foreign = foreign is not None
    layer("seccomp", lambda: seccomp.install(seccomp.zygote_filter(foreign_modules=with_foreign)))
    programs = {
        threads: seccomp.child_filter(
            files_visible=files_visible, native_modules=with_foreign, threads=threads
        )
        for threads in ((False, True) if with_foreign else (False,))
    }
    layer("rlimits", rlimits.set_fixed_limits)  # a call's own are set in the child
    runtime.prepare()
    size = rlimits.address_space_bytes(statm)
    landlocked, filtered = layers["landlock"].active, layers["seccomp"].active
    filter_calls = {
        threads: Stages(seccomp.prepared_install(program) if filtered else _nothing, _nothing)
        for threads, program in programs.items()
    }
    if foreign:
        announce = partial(_announce, control)
        filter_calls, allowance = bring_in(
            foreign, size, filter_calls, announce, alone=files_visible, landlocked=landlocked
        )
        size = rlimits.address_space_bytes(statm) + allowance
    os.close(statm)
    locks = ChildLocks(
        restrict_paths=landlock.prepared_restrict(rulesets[0]) if landlocked else _nothing,
        die_with_parent=privileges.prepared_die_with_parent(),
        filter_calls=filter_calls,
        address_space_bytes=size if layers["rlimits"].active else None,
    )
    gc.collect()
    gc.freeze()
    return locks, Started(layers, size, files_visible)


def _load_ours(foreign: ForeignModules | None) -> None:
    preload()
    if foreign:
        load_what_is_ours()
    replace_transports()
    namespace.prepare()


def _announce(control: socket.socket, module: str) -> None:
    send_report(control, Importing(module))


def _drop_root(foreign: ForeignModules | None) -> Done:
    if os.getuid() != 0:
        return Done(active=True)
    return _attempt(lambda: privileges.drop_uid(foreign.user_offset if foreign else 0))


def serve(control: socket.socket, locks: ChildLocks) -> None:
    """Fork on request, report who ended; until the service closes its end."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _ignore_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == woken:
                os.read(woken, 512)
            else:
                asked = receive_spawn(control)
                if asked is None:
                    os._exit(0)
                _spawn(control, locks, asked)
        _report_ended(control)


def _spawn(control: socket.socket, locks: ChildLocks, asked: Spawn) -> None:
    try:
        pid = os.fork()
    except OSError:
        _close(asked)
        send_report(control, SpawnFailed(asked.sequence))
        return
    if pid == 0:
        _live_as_child(locks, asked)
    _close(asked)
    pidfd = _pidfd(pid)
    send_report(control, Spawned(asked.sequence, pid, pidfd))
    if pidfd is not None:
        os.close(pidfd)


def _close(asked: Spawn) -> None:
    for fd in (asked.child_fd, *asked.streams):
        os.close(fd)


def _live_as_child(locks: ChildLocks, asked: Spawn) -> None:
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        locks.restrict_paths()
        if asked.child_fd != CHILD_FD:
            os.dup2(asked.child_fd, CHILD_FD)
        if asked.streams:
            for number, fd in enumerate(asked.streams):
                os.dup2(fd, number)
        else:
            _own_standard_streams()
        os.closerange(CHILD_FD + 1, 1 << 20)
        locks.die_with_parent()
        os.setsid()  # the scheduler then shares out time per child, not all of them as one
        filter_at_once, filter_before_its_code = locks.filter_calls[bool(asked.streams)]
        filter_at_once()
        size = locks.address_space_bytes
        if asked.streams:
            serving.live(CHILD_FD, filter_before_its_code, address_space_bytes=size)
        else:
            filter_before_its_code()
            runtime.live(CHILD_FD, address_space_bytes=size, prewarm=asked.prewarm)
        code = 0
    finally:  # a child never returns into the fork server, whatever the tool raised
        os._exit(code)


def _own_standard_streams() -> None:
    """Nothing to read or to write: what is inherited keeps its flags from one call to the next."""
    nothing, end = os.pipe()
    os.close(end)
    for number in range(3):
        os.dup2(nothing, number)


def _report_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        send_report(control, Exited(pid, status, usage.ru_utime + usage.ru_stime))


def _continue_as_first_process(control: socket.socket) -> None:
    """Only a child is inside a new pid namespace; this process stays to be its parent."""
    pid = os.fork()
    if pid:
        control.close()
        os.waitpid(pid, 0)
        os._exit(0)
    privileges.die_with_parent()


def _attempt(*steps: Callable[[], object]) -> Done:
    try:
        for step in steps:
            step()
    except OSError as error:
        return Done(active=False, detail=str(error))
    return Done(active=True)


def _outermost(paths: list[str]) -> list[str]:
    """Those that exist and lie in no other of them."""
    found = sorted({path for path in paths if os.path.exists(path)})
    return [
        path
        for path in found
        if not any(path != other and path.startswith(f"{other}/") for other in found)
    ]


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _nothing() -> None:
    """Instead of a layer that this machine does not have."""


def _ignore_signal(_number: int, _frame: object) -> None:
    """A handler of its own, not ``SIG_IGN``: that would reap the children unseen."""
