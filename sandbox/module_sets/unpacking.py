"""The process that unpacks wheels: it is locked down before it reads the first byte of them.

It holds the wheels and the target directory as open descriptors; it can open nothing else for
writing, and starts no program and no connection.
"""

import codecs
import hashlib
import json
import os
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from sandbox.lockdown import landlock, namespaces, privileges, rlimits, seccomp
from sandbox.module_sets.bytecode import compiled
from sandbox.module_sets.manifest import Manifest
from sandbox.module_sets.wheel_file import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, Refused, WheelFile

BOOTSTRAP = """
import sys
sys.path.append(sys.argv[1])
from sandbox.module_sets.unpacking import main
main()
"""
"""For ``python -c``: isolated mode knows no other packages."""
REFUSED_STATUS = 3
_MEMORY_BYTES = 2**30
_CPU_S = 240
_MAX_SOURCE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Order:
    """What the service asks for; JSON in the second argument."""

    service_pid: int
    wheels: list[tuple[int, str]]
    """Descriptor and file name of each."""
    target: int
    """Descriptor of an empty directory that :func:`privileges.drop_uid` leaves writable."""


def main() -> None:
    """Prints a manifest, or why the set is refused."""
    order = Order(**json.loads(sys.argv[2]))
    privileges.die_with_parent(order.service_pid)
    lock_down(order)
    try:
        manifest = unpack(order.wheels, order.target)
    except Refused as error:
        print(error)  # noqa: T201  standard output is the answer
        sys.exit(REFUSED_STATUS)
    print(manifest.to_json())  # noqa: T201  standard output is the answer


def lock_down(order: Order) -> None:
    """Raises: OSError: the layers that every machine has, or the sandbox would not run there."""
    _load_what_comes_late()
    os.umask(0)
    readable = [sysconfig.get_path("stdlib")]
    privileges.no_new_privileges()
    _attempt(namespaces.enter_namespaces)
    _attempt(lambda: namespaces.enter_private_root(readable))
    rulesets: list[int] = []
    _attempt(lambda: rulesets.append(landlock.open_ruleset(readable, fillable=order.target)))
    if os.getuid() == 0:
        _attempt(privileges.drop_uid)
    privileges.drop_capabilities()
    privileges.die_with_parent()
    privileges.hide_from_same_user()
    for ruleset in rulesets:
        landlock.restrict(ruleset)
        os.close(ruleset)
    rlimits.set_unpacking_limits(
        memory_bytes=_MEMORY_BYTES, cpu_s=_CPU_S, file_bytes=MAX_FILE_BYTES
    )
    seccomp.install(seccomp.unpacking_filter())


def unpack(wheels: Iterable[tuple[int, str]], target: int) -> Manifest:
    """Raises: Refused; OSError."""
    tree = _Tree(target)
    opened = [
        WheelFile(os.fdopen(fd, "rb"), filename, os.fstat(fd).st_size) for fd, filename in wheels
    ]
    if sum(wheel.announced_files for wheel in opened) > MAX_FILES:
        raise Refused(f"The set is refused: it has more than {MAX_FILES} files.")
    if sum(wheel.announced_bytes for wheel in opened) > MAX_BYTES:
        raise Refused(f"The set is refused: it would need more than {MAX_BYTES} bytes unpacked.")
    for wheel in opened:
        for member in wheel.members():
            source = tree.add(member.path, wheel.content(member))
            if member.path.endswith(".py") and (made := compiled(source, member.path)):
                path, data = made
                tree.add(path, [data])
    return Manifest(files=tree.files)


class _Tree:
    """Only ever adds: what two wheels both bring is refused."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._folders = {""}
        self.files: dict[str, tuple[int, str]] = {}

    def add(self, path: str, content: Iterable[bytes]) -> bytes:
        """Answers what was written, unless that is too long for source code. Raises: Refused."""
        self._make_folder(path.rpartition("/")[0])
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            file = os.open(path, flags, 0o444, dir_fd=self._root)
        except FileExistsError:
            raise Refused(f"The set is refused: two of its wheels bring {path!r}.") from None
        digest = hashlib.sha256()
        size = 0
        start = bytearray()
        with os.fdopen(file, "wb") as out:
            for piece in content:
                out.write(piece)
                digest.update(piece)
                size += len(piece)
                if len(start) <= _MAX_SOURCE_BYTES:
                    start += piece
        self.files[path] = (size, digest.hexdigest())
        return bytes(start) if len(start) == size else b""

    def _make_folder(self, path: str) -> None:
        if path in self._folders:
            return
        self._make_folder(path.rpartition("/")[0])
        try:
            os.mkdir(path, 0o755, dir_fd=self._root)
        except FileExistsError:
            raise Refused(f"The set is refused: {path!r} is a file and a folder.") from None
        self._folders.add(path)


def _attempt(step: Callable[[], object]) -> None:
    """A layer that not every machine has."""
    with suppress(OSError):
        step()


def _load_what_comes_late() -> None:
    """Before files are out of reach: what reading zip files and source code asks for."""
    warnings.simplefilter("ignore")
    for name in ("ascii", "cp437", "iso8859-1", "latin-1", "utf-8", "utf-8-sig"):
        codecs.lookup(name)
    for name in ("sha256", "sha384", "sha512"):
        hashlib.new(name)
    compile("ü = 1", "warm", "exec")
