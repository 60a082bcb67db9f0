"""Namespaces, and a private read-only root inside the mount namespace."""

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from sandbox.lockdown.kernel import syscall

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
ALL_BUT_USER = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
)

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 1, 2, 4, 32
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MS_NOATIME, _MS_NODIRATIME, _MS_RELATIME = 1024, 2048, 1 << 21
_MNT_DETACH = 2
_READ_ONLY = _MS_BIND | _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID | _MS_NODEV
_STAGING = ("/mnt", "/media", "/srv", "/opt", "/run", "/home")
_INSIDE_ID = 65534
_INSIDE_NAME = "sandbox"
_PASSABLE = 0o111
"""Nobody lists what is not theirs: not even the names of the directories on the way."""


def enter_namespaces() -> None:
    """Leave the host's pid (for children), network, mount, ipc, uts and cgroup namespaces.

    An ordinary user needs a user namespace first; root does not, and drops its uid later.
    """
    uid, gid = os.getuid(), os.getgid()
    if uid != 0:
        syscall("unshare", CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{_INSIDE_ID} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{_INSIDE_ID} {gid} 1")
    syscall("unshare", ALL_BUT_USER)
    socket.sethostname(_INSIDE_NAME)


def enter_private_root(visible: Iterable[str]) -> None:
    """Make ``/`` a read-only tmpfs that holds only ``visible``, at the same paths, read-only.

    A new directory above a visible path is open to all, so a checkout below a closed home directory
    stays readable after the uid was dropped.
    """
    paths = sorted(visible)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    staging = _staging_directory(paths)
    _mount("tmpfs", staging, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    root = f"{staging}/root"
    os.mkdir(root, 0o755)
    _mount(root, root, None, _MS_BIND)
    for path in paths:
        _bind_read_only(path, root + path)
    os.mkdir(f"{root}/.old")
    os.chdir(root)
    syscall("pivot_root", b".", b".old")
    os.chdir("/")
    syscall("umount2", b"/.old", _MNT_DETACH)
    os.rmdir("/.old")
    for directory in {str(above) for path in paths for above in Path(path).parents}:
        os.chmod(directory, _PASSABLE)
    _mount(None, "/", None, _READ_ONLY)


def _staging_directory(paths: list[str]) -> str:
    for candidate in _STAGING:
        hides = any(path == candidate or path.startswith(f"{candidate}/") for path in paths)
        if os.path.isdir(candidate) and not os.path.islink(candidate) and not hides:
            return candidate
    raise OSError(f"none of {', '.join(_STAGING)} can be mounted over")


def _bind_read_only(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()
    _mount(source, target, None, _MS_BIND | _MS_REC)
    try:
        _mount(None, target, None, _READ_ONLY)
    except PermissionError:  # an outer user namespace locked these flags: they must be kept
        kept = _MS_NOATIME | _MS_NODIRATIME | _MS_RELATIME
        _mount(None, target, None, _READ_ONLY | kept)


def _mount(
    source: str | None, target: str, filesystem: str | None, flags: int, data: str | None = None
) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, filesystem)]
    syscall("mount", *texts, flags, None if data is None else os.fsencode(data))
