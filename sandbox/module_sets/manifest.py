"""What an installed set consists of, file by file, and whether it still does."""

import hashlib
import json
import os
import stat
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox.module_sets.names import top_level_names

_CHUNK_BYTES = 2**20


class Tampered(Exception):
    """Says which file is not what was installed."""


@dataclass(frozen=True)
class Manifest:
    files: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """By path relative to the set's directory: size in bytes, and SHA-256."""
    python: str = sys.implementation.cache_tag
    """The interpreter that the wheels were chosen and compiled for."""

    @property
    def modules(self) -> tuple[str, ...]:
        return top_level_names(self.files)

    @property
    def size_bytes(self) -> int:
        return sum(size for size, _ in self.files.values())

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Raises: ValueError."""
        given: Any = json.loads(text)
        try:
            files = {
                str(path): (int(size), str(sha)) for path, (size, sha) in given["files"].items()
            }
            return cls(files=files, python=str(given["python"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is no manifest") from error

    def require_unchanged(self, directory: Path) -> None:
        """Raises: Tampered: a file is missing, new, other than it was, or no plain file."""
        missing = set(self.files)
        for at, folders, names, folder_fd in os.fwalk(directory):
            for name in (*folders, *names):
                path = os.path.relpath(os.path.join(at, name), directory)
                is_folder = stat.S_ISDIR(os.lstat(name, dir_fd=folder_fd).st_mode)
                if is_folder:
                    continue
                expected = self.files.get(path)
                if expected is None:
                    raise Tampered(f"{path} was not installed")
                if _measured(name, folder_fd) != expected:
                    raise Tampered(f"{path} is not what was installed")
                missing.discard(path)
        if missing:
            raise Tampered(f"{min(missing)} is missing")


def _measured(name: str, folder_fd: int) -> tuple[int, str] | None:
    """``None`` for what is not a plain file with one name."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder_fd)
    except OSError:
        return None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return None
        digest = hashlib.sha256()
        while chunk := os.read(file, _CHUNK_BYTES):
            digest.update(chunk)
        return status.st_size, digest.hexdigest()
    finally:
        os.close(file)
