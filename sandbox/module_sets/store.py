"""Sets of modules on disk: each in a directory named by its digest, whole or not there at all."""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterable
from pathlib import Path

from sandbox.contract import InstalledModuleSet, ModuleSet
from sandbox.module_sets.cache import WheelCache
from sandbox.module_sets.installer import SetRefused, chosen, unpacked
from sandbox.module_sets.manifest import Manifest, Tampered
from sandbox.module_sets.sealing import make_read_only

_FILES = "files"
_MANIFEST = "manifest.json"

log = logging.getLogger(__name__)


class UnknownModuleSet(Exception):
    """It is not installed here, or no longer as it was."""


class MissingFromCache(Exception):
    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__("Wheels of the set are missing.")
        self.missing = missing


class ModuleSets:
    def __init__(self, directory: Path | None = None) -> None:
        """Without a directory it makes one, and removes it in the end."""
        self._is_temporary = directory is None
        directory = directory or Path(tempfile.mkdtemp(prefix="mcpbox-sandbox-"))
        self._sets = directory / "module-sets"
        self._partial = directory / "partial"
        self._wheels = WheelCache(directory / "wheels", self._partial)
        self._directory = directory
        self._installed: dict[str, Manifest] = {}
        """By key."""
        self._installing: dict[str, asyncio.Task[Manifest]] = {}
        self._one_at_a_time = asyncio.Lock()

    def open(self) -> None:
        """Find what is installed, and remove what a crash left. Raises: OSError."""
        for path, mode in (
            (self._directory, _passable()),
            (self._sets, _passable()),
            (self._directory / "wheels", 0o700),
            (self._partial, 0o700),
        ):
            if not path.is_dir():
                path.mkdir(mode, parents=True)
            if self._is_temporary or path != self._directory:
                path.chmod(mode)
        for left in self._partial.iterdir():
            _remove(left)
        for found in self._sets.iterdir():
            self._find(found)

    async def aclose(self) -> None:
        for task in self._installing.values():
            task.cancel()
        await asyncio.gather(*self._installing.values(), return_exceptions=True)
        if self._is_temporary:
            await asyncio.to_thread(_remove, self._directory)

    async def receive_wheel(self, sha256: str, content: AsyncIterable[bytes]) -> None:
        """Raises: WrongWheel, WheelTooLarge."""
        await self._wheels.receive(sha256, content)

    def find(self, key: str) -> InstalledModuleSet | None:
        manifest = self._installed.get(key)
        if manifest is None:
            return None
        return InstalledModuleSet(
            key=key, modules=manifest.modules, files=len(manifest.files), bytes=manifest.size_bytes
        )

    async def install(self, module_set: ModuleSet) -> InstalledModuleSet:
        """Once, however many ask; it goes on when those who asked are gone.

        Raises: MissingFromCache, SetRefused.
        """
        key = module_set.key
        if key not in self._installed:
            task = self._installing.get(key)
            if task is None:
                if missing := self._wheels.missing(module_set):
                    raise MissingFromCache(missing)
                task = asyncio.create_task(self._install(module_set))
                self._installing[key] = task
                task.add_done_callback(lambda _: self._installing.pop(key))
            await asyncio.shield(task)
        installed = self.find(key)
        assert installed is not None
        return installed

    async def require_unchanged(self, key: str) -> tuple[Path, tuple[str, ...]]:
        """Where its files lie, and the modules they offer. Raises: UnknownModuleSet."""
        manifest = self._installed.get(key)
        if manifest is None:
            raise UnknownModuleSet(key)
        files = self._directory_of(key) / _FILES
        try:
            await asyncio.to_thread(manifest.require_unchanged, files)
        except (Tampered, OSError) as error:
            log.error("The module set %s was changed on disk and is not used: %s", key, error)  # noqa: TRY400  no trace
            self._installed.pop(key, None)
            raise UnknownModuleSet(key) from error
        return files, manifest.modules

    async def _install(self, module_set: ModuleSet) -> Manifest:
        async with self._one_at_a_time:
            key = module_set.key
            wanted = chosen(module_set.wheels)
            partial = Path(tempfile.mkdtemp(dir=self._partial))
            try:
                files = partial / _FILES
                files.mkdir(0o700)
                manifest = await unpacked(wanted, self._wheels, files)
                await asyncio.to_thread(_seal, partial, manifest)
                await asyncio.to_thread(self._put_in_place, partial, key)
            finally:
                await asyncio.to_thread(_remove, partial)
            self._installed[key] = manifest
            log.info("module set %s installed: %d files", key, len(manifest.files))
            return manifest

    def _put_in_place(self, partial: Path, key: str) -> None:
        place = self._directory_of(key)
        if place.exists():  # one that was found changed
            old = Path(tempfile.mkdtemp(dir=self._partial))
            place.rename(old / place.name)
            _remove(old)
        partial.rename(place)

    def _find(self, found: Path) -> None:
        try:
            manifest = Manifest.from_json((found / _MANIFEST).read_bytes())
        except (OSError, ValueError):
            log.warning("%s is no installed module set; it is removed.", found.name)
            _remove(found)
            return
        if manifest.python == sys.implementation.cache_tag:
            self._installed[f"sha256:{found.name}"] = manifest
        else:
            _remove(found)

    def _directory_of(self, key: str) -> Path:
        return self._sets / key.removeprefix("sha256:")


def _seal(partial: Path, manifest: Manifest) -> None:
    """Look at it once more, as somebody who read no wheel. Raises: SetRefused."""
    files = partial / _FILES
    try:
        make_read_only(files)
        manifest.require_unchanged(files)
    except (Tampered, OSError) as error:
        raise SetRefused(f"What was unpacked is not what was announced: {error}.") from error
    (partial / _MANIFEST).write_text(manifest.to_json())
    partial.chmod(_passable())


def _passable() -> int:
    """Whom a fork server of root becomes must be able to pass through, not to look."""
    return 0o711 if os.geteuid() == 0 else 0o700


def _remove(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for at, folders, _ in os.walk(path):
        for folder in folders:
            inner = os.path.join(at, folder)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(path)
