"""Wheels as they were received: by hash, and only once the hash was found right."""

import hashlib
import os
import tempfile
from collections.abc import AsyncIterable
from contextlib import suppress
from pathlib import Path

from sandbox.contract import ModuleSet, Wheel

MAX_WHEEL_BYTES = 100 * 2**20
_MAX_BYTES = 2 * 2**30


class WrongWheel(Exception):
    """Says what is wrong with what was sent; nothing was kept."""


class WheelTooLarge(Exception):
    pass


class WheelCache:
    def __init__(self, directory: Path, arriving: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        """``arriving``: for what is not known to be right yet, on the same file system."""
        self._directory = directory
        self._arriving = arriving
        self._max_bytes = max_bytes

    def path_of(self, sha256: str) -> Path:
        return self._directory / sha256

    def missing(self, module_set: ModuleSet) -> tuple[str, ...]:
        return tuple(one.sha256 for one in module_set.wheels if not self._holds(one))

    async def receive(self, sha256: str, content: AsyncIterable[bytes]) -> None:
        """Raises: WrongWheel, WheelTooLarge."""
        digest = hashlib.sha256()
        size = 0
        handle, name = tempfile.mkstemp(dir=self._arriving)
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                async for piece in content:
                    size += len(piece)
                    if size > MAX_WHEEL_BYTES:
                        raise WheelTooLarge
                    digest.update(piece)
                    file.write(piece)
            if digest.hexdigest() != sha256:
                raise WrongWheel("What was sent has another SHA-256 than the path names.")
            path.rename(self.path_of(sha256))  # noqa: ASYNC240  nothing is copied
        finally:
            path.unlink(missing_ok=True)  # noqa: ASYNC240  as above
        self._make_room(keep=self.path_of(sha256))

    def _holds(self, wheel: Wheel) -> bool:
        try:
            return self.path_of(wheel.sha256).stat().st_size == wheel.size
        except FileNotFoundError:
            return False

    def _make_room(self, *, keep: Path) -> None:
        """The oldest go first; a set that was installed needs its wheels no more."""
        held = [(entry.stat(), Path(entry)) for entry in os.scandir(self._directory)]
        held.sort(key=lambda one: one[0].st_mtime_ns)
        too_many = sum(status.st_size for status, _ in held) - self._max_bytes
        for status, path in held:
            if too_many <= 0:
                return
            if path != keep:
                with suppress(FileNotFoundError):
                    path.unlink()
                too_many -= status.st_size
