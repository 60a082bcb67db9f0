"""A cgroup around all processes of tools: memory of them together, their number, and their end.

The service makes it and moves fork servers in; what they fork is inside from its first moment.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, the same under cgroup-v1
"""

import errno
import fcntl
import os
import secrets
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sandbox.lockdown import hierarchies

_PREFIX = "mcpbox-sandbox-"
_CONTROLLERS = ("memory", "pids")
_SYSTEMD = Path("/run/systemd/system")
_DELEGATED = ("trusted.delegate", "user.delegate")
_MAKING_ATTEMPTS = 3
_REMOVAL_S = 2.0
_REMOVAL_PAUSE_S = 0.01

NEEDS = (
    "give the service a writable cgroup with the memory and pids controllers: systemd's "
    "`Delegate=yes` with `DelegateSubgroup=`, or a writable /sys/fs/cgroup"
)


class NoCgroup(Exception):
    """Fit for the operator: why there is none."""


@dataclass(frozen=True)
class Bounds:
    """Of all processes inside together."""

    memory_bytes: int
    processes: int


class _Place(NamedTuple):
    """One directory; with v1 there is one for each controller."""

    directory: Path
    lock: int
    """Held as long as the service lives, so a directory that can be locked is a leftover."""


class Cgroup:
    """Made by :func:`make`."""

    def __init__(self, places: tuple[_Place, ...], bounds: Bounds, *, unified: bool) -> None:
        self._places = places
        self.bounds = bounds
        self.version = 2 if unified else 1

    @property
    def described(self) -> str:
        together = f"{self.bounds.memory_bytes / 2**30:.1f} GiB and {self.bounds.processes}"
        return f"v{self.version}; all tools together: {together} processes"

    def adopt(self, pids: Iterable[int]) -> None:
        """Raises: NoCgroup. Costs milliseconds for each, so never on the path of a call."""
        try:
            for place in self._places:
                for pid in pids:
                    (place.directory / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise NoCgroup(f"a process cannot be moved into it: {error.strerror}") from error

    def holds(self, pids: Iterable[int]) -> bool:
        """Whether all of them are in every one of its directories."""
        wanted = set(pids)
        return all(wanted <= set(_members(place.directory)) for place in self._places)

    def remove(self) -> None:
        """Ends whatever is inside."""
        for place in self._places:
            _remove(place.directory)
            os.close(place.lock)
        self._places = ()


def attempt(bounds: Bounds) -> Cgroup | NoCgroup:
    """A sandbox starts without one as well, and says why."""
    try:
        return make(bounds)
    except NoCgroup as reason:
        return reason


def make(bounds: Bounds) -> Cgroup:
    """Below the cgroup of this process. Raises: NoCgroup."""
    try:
        found = hierarchies.find(_CONTROLLERS)
    except OSError as error:
        raise NoCgroup(f"the cgroups of this machine cannot be read: {error.strerror}") from error
    if found is None:
        raise NoCgroup("this machine mounts no cgroup hierarchy with memory and pids")
    places: list[_Place] = []
    name = _PREFIX + secrets.token_hex(6)
    try:
        bases = _delegated(found) if found.unified else found.bases
        for base in bases:
            _remove_leftovers(base)
            place = _made(base / name)
            places.append(place)
            _bound(place.directory, bounds, unified=found.unified)
    except OSError as error:
        for place in places:
            _remove(place.directory)
            os.close(place.lock)
        raise NoCgroup(_explained(error)) from error
    return Cgroup(tuple(places), bounds, unified=found.unified)


def family_of(pid: int) -> list[int]:
    """It and its children, as far as they can be seen."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [pid, *map(int, children.read_text().split())]
    except OSError:  # a kernel may be built without
        return [pid, *_children_of(pid)]


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def _delegated(found: hierarchies.Hierarchies) -> tuple[Path, ...]:
    """Where v2 lets us make one that has its controllers.

    A cgroup with processes in it cannot pass controllers on, except for the root: so first the one
    above, which has none where the service was given a subgroup of its own, then our own.
    """
    (own,) = found.bases
    above = (own.parent,) if own != found.top else ()
    failure = _refused(own, errno.EACCES)
    for base in (*above, own):
        try:
            _pass_controllers_on(base)
        except OSError as error:
            failure = error
        else:
            return (base,)
    raise failure


def _pass_controllers_on(base: Path) -> None:
    kind = base / "cgroup.type"
    if kind.exists() and kind.read_text().strip() != "domain":
        raise _refused(base, errno.EOPNOTSUPP)
    if not os.access(base, os.W_OK) or _belongs_to_systemd(base):
        raise _refused(base, errno.EACCES)
    passed_on = base / "cgroup.subtree_control"
    if not set(_CONTROLLERS) <= set(passed_on.read_text().split()):
        passed_on.write_text(" ".join(f"+{name}" for name in _CONTROLLERS))


def _belongs_to_systemd(base: Path) -> bool:
    """It marks what it gave away; root could write anywhere, and would be in its way."""
    if os.getuid() != 0 or not _SYSTEMD.is_dir():
        return False
    return not any(name in _DELEGATED for name in os.listxattr(base))


def _refused(place: Path, code: int) -> OSError:
    return OSError(code, os.strerror(code), str(place))


def _made(directory: Path) -> _Place:
    """Another service that starts now may take it for a leftover before it is locked."""
    for _ in range(_MAKING_ATTEMPTS):
        directory.mkdir(exist_ok=True)
        try:
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_SH)
        if directory.exists() and os.path.samestat(os.fstat(lock), directory.stat()):
            return _Place(directory, lock)
        os.close(lock)
    raise _refused(directory, errno.EBUSY)


def _bound(directory: Path, bounds: Bounds, *, unified: bool) -> None:
    if unified:
        values = {"memory.max": bounds.memory_bytes, "pids.max": bounds.processes}
        niceties = {"memory.swap.max": 0}
    else:
        values = (
            {"memory.limit_in_bytes": bounds.memory_bytes}
            if (directory / "memory.limit_in_bytes").exists()
            else {"pids.max": bounds.processes}
        )
        niceties = {"memory.memsw.limit_in_bytes": bounds.memory_bytes, "memory.swappiness": 0}
    for name, value in values.items():
        (directory / name).write_text(str(value))
    for name, value in niceties.items():  # a kernel may be built without
        if (directory / name).exists():
            with suppress(OSError):
                (directory / name).write_text(str(value))


def _remove_leftovers(base: Path) -> None:
    """Of services that ended without a word."""
    for directory in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(directory)
            finally:
                os.close(lock)


def _remove(directory: Path) -> None:
    """Waits, as a cgroup is empty only when its last process was reaped."""
    deadline = time.monotonic() + _REMOVAL_S
    while time.monotonic() < deadline:
        _kill(directory)
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_REMOVAL_PAUSE_S)
        else:
            return


def _kill(directory: Path) -> None:
    with suppress(OSError):
        (directory / "cgroup.kill").write_text("1")
        return
    for pid in _members(directory):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _members(directory: Path) -> list[int]:
    """0 stands for a process that cannot be seen from here."""
    try:
        pids = (directory / "cgroup.procs").read_text().split()
    except OSError:
        return []
    return [int(pid) for pid in pids if pid != "0"]


def _explained(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.EBUSY:
        return f"{place}other processes share the cgroup of the service"
    return f"{place}{error.strerror}"
