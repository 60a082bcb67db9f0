"""Making what was unpacked ours, and unchangeable."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def make_read_only(directory: Path) -> None:
    """Raises: OSError: it holds something else than folders and plain files."""
    for _, folders, names, folder_fd in os.fwalk(directory, topdown=False):
        for name in (*folders, *names):
            _seal(name, folder_fd)
    _seal(str(directory), None)


def _seal(name: str, folder_fd: int | None) -> None:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder_fd)
    try:
        kind = stat.S_IFMT(os.fstat(file).st_mode)
        if kind not in {stat.S_IFDIR, stat.S_IFREG}:
            raise OSError(f"{name} is neither a folder nor a plain file")
        with suppress(PermissionError):  # root without that capability owns it already
            os.fchown(file, os.geteuid(), os.getegid())
        os.fchmod(file, 0o555 if kind == stat.S_IFDIR else 0o444)
    finally:
        os.close(file)
