"""Namespaces around the whole run: nothing that is tried can touch this machine or its network."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from tests.corpus.targets import OWN_ADDRESS

ROOT = Path(__file__).parents[2]
_INSIDE = "CORPUS_INSIDE"
_SETS_ADDRESS, _GETS_FLAGS, _SETS_FLAGS, _SETS_MASK = 0x8916, 0x8913, 0x8914, 0x891C
_UP = 1
_METADATA = ("169.254.169.254", "fd00:ec2::254")


def is_inside() -> bool:
    return os.environ.get(_INSIDE) == "1"


def enter(arguments: Sequence[str]) -> str:
    """Does not return, but runs this command anew inside; or says why that cannot be."""
    unshare = _unshare()
    if unshare is None:
        return "the program `unshare` is missing"
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:  # noqa: S603
        return "it needs root or user namespaces"
    python = [sys.executable, "-B", "-m", "tests.corpus", *arguments]
    return _become([*unshare, *python])


def furnish() -> None:
    """The addresses that the abuse asks for, and ways that an ordinary user may go."""
    _network()
    if os.getuid() == 0:
        _open_ways([ROOT, Path(sys.prefix), Path(sys.base_prefix)])


def _become(command: list[str]) -> NoReturn:
    os.execve(command[0], command, {**os.environ, _INSIDE: "1"})  # noqa: S606


def _unshare() -> list[str] | None:
    program = shutil.which("unshare")
    if program is None:
        return None
    namespaces = [program, "--net", "--pid", "--mount", "--ipc", "--uts", "--mount-proc"]
    if os.getuid() != 0:
        namespaces += ["--user", "--map-current-user", "--keep-caps"]
    return [*namespaces, "--fork", "--kill-child", "--"]


def _network() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        flags = struct.pack("16sH14x", b"lo", 0)
        (known,) = struct.unpack("16xH14x", fcntl.ioctl(asking, _GETS_FLAGS, flags))
        fcntl.ioctl(asking, _SETS_FLAGS, struct.pack("16sH14x", b"lo", known | _UP))
        for number, address in enumerate((OWN_ADDRESS, _METADATA[0])):
            name = f"lo:{number}".encode()
            for request, value in ((_SETS_ADDRESS, address), (_SETS_MASK, "255.255.255.255")):
                given = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(asking, request, given)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
        address = socket.inet_pton(socket.AF_INET6, _METADATA[1])
        index = socket.if_nametoindex("lo")
        fcntl.ioctl(asking, _SETS_ADDRESS, struct.pack("16sIi", address, 128, index))


def _open_ways(needed: Iterable[Path]) -> None:
    """A directory closed to others is replaced by an open one that holds only what is needed.

    Python or the checkout may lie below the closed home of root.
    """
    closed = sorted({way for path in needed if (way := _first_closed(path)) is not None})
    for directory in closed:
        below = sorted({path for path in needed if path.is_relative_to(directory)})
        kept = Path(tempfile.mkdtemp(prefix="corpus-"))
        for number, path in enumerate(below):
            (kept / str(number)).mkdir()
            _mount("--bind", str(path), str(kept / str(number)))
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(directory))
        for number, path in enumerate(below):
            path.mkdir(parents=True, exist_ok=True)
            _mount("--bind", str(kept / str(number)), str(path))
            _mount("--make-private", str(path))
            subprocess.run(["umount", str(kept / str(number))], check=True)  # noqa: S603, S607
        shutil.rmtree(kept)


def _first_closed(path: Path) -> Path | None:
    ways = [*reversed(path.parents), path]
    return next((way for way in ways if not way.stat().st_mode & 0o001), None)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)  # noqa: S603, S607
