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

from sandbox import namespace, runtime
from sandbox.control import (
    Done,
    Exited,
    Spawned,
    SpawnFailed,
    Started,
    StartFailed,
    receive_spawn,
    send_report,
)
from sandbox.lockdown import landlock, namespaces, privileges, rlimits, seccomp
from sandbox.preload import preload, preload_time_zones
from sandbox.transports import replace_transports

CHILD_FD = 3
BOOTSTRAP = """
import json, sys
sys.path += json.loads(sys.argv[2])["import_paths"]
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


@dataclass(frozen=True)
class ChildLocks:
    """What a fresh child still has to put on; the rest it inherits."""

    landlock_ruleset: int | None
    seccomp_program: bytes | None
    with_rlimits: bool
    address_space_bytes: int


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

    privileges.no_new_privileges()
    own_namespaces = layer("namespaces", namespaces.enter_namespaces)
    if own_namespaces:
        _continue_as_first_process(control)
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    preload()
    replace_transports()
    namespace.prepare()
    visible = _outermost([sysconfig.get_path("stdlib"), *_DATA_PATHS, *order.visible_paths])
    layers["private_root"] = Done(active=False, detail="needs the namespaces")
    if own_namespaces:
        layer("private_root", lambda: namespaces.enter_private_root(visible))
    rulesets: list[int] = []
    layer("landlock", lambda: rulesets.append(landlock.open_ruleset(visible)))
    if os.getuid() == 0:
        dropped = _attempt(privileges.drop_uid)
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
    files_visible = layers["landlock"].active or layers["private_root"].active
    if not files_visible:
        preload_time_zones()
    layer("seccomp", lambda: seccomp.install(seccomp.zygote_filter()))
    program = seccomp.child_filter(files_visible=files_visible)
    layer("rlimits", lambda: None)  # set in each child; whether they hold, the probe measures
    runtime.warm_up(times=2)
    gc.collect()
    gc.freeze()
    size = rlimits.address_space_bytes(statm)
    os.close(statm)
    locks = ChildLocks(
        landlock_ruleset=rulesets[0] if layers["landlock"].active else None,
        seccomp_program=program if layers["seccomp"].active else None,
        with_rlimits=layers["rlimits"].active,
        address_space_bytes=size,
    )
    return locks, Started(layers, size, files_visible)


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
                _spawn(control, locks, *asked)
        _report_ended(control)


def _spawn(
    control: socket.socket, locks: ChildLocks, sequence: int, prewarm: bool, child_fd: int
) -> None:
    try:
        pid = os.fork()
    except OSError:
        os.close(child_fd)
        send_report(control, SpawnFailed(sequence))
        return
    if pid == 0:
        _live_as_child(locks, child_fd, prewarm=prewarm)
    os.close(child_fd)
    pidfd = _pidfd(pid)
    send_report(control, Spawned(sequence, pid, pidfd))
    if pidfd is not None:
        os.close(pidfd)


def _live_as_child(locks: ChildLocks, child_fd: int, *, prewarm: bool) -> None:
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if locks.landlock_ruleset is not None:
            landlock.restrict(locks.landlock_ruleset)
        if child_fd != CHILD_FD:
            os.dup2(child_fd, CHILD_FD)
        os.closerange(CHILD_FD + 1, 1 << 20)
        privileges.die_with_parent()
        os.setsid()
        if locks.with_rlimits:
            rlimits.set_fixed_limits()
        if locks.seccomp_program is not None:
            seccomp.install(locks.seccomp_program)
        base = locks.address_space_bytes if locks.with_rlimits else None
        runtime.live(CHILD_FD, address_space_bytes=base, prewarm=prewarm)
        code = 0
    finally:  # a child never returns into the fork server, whatever the tool raised
        os._exit(code)


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


def _ignore_signal(_number: int, _frame: object) -> None:
    """A handler of its own, not ``SIG_IGN``: that would reap the children unseen."""
