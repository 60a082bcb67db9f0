"""Where this process stands in the cgroup hierarchies of the machine: v2, v1, or both."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_OWN = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Hierarchies:
    bases: tuple[Path, ...]
    """The cgroup of this process: one in v2, one for each controller in v1."""
    unified: bool
    top: Path | None = None
    """Of v2: nothing above it can be seen."""


@dataclass(frozen=True)
class _Mount:
    root: str
    """The cgroup that shows at its directory: not ``/`` in a container."""
    directory: Path
    unified: bool
    options: frozenset[str]


def find(
    controllers: Iterable[str], own: Path = _OWN, mounts: Path = _MOUNTS
) -> Hierarchies | None:
    """The v2 hierarchy, where it has all the controllers, else those of v1. Raises: OSError."""
    wanted = tuple(controllers)
    mounted = _mounted(mounts.read_text())
    paths = _paths(own.read_text())
    for mount in mounted:
        base = _below(mount, paths.get(""))
        if mount.unified and base is not None and _has(base, wanted):
            return Hierarchies((base,), unified=True, top=mount.directory)
    bases = [_base_of(name, mounted, paths) for name in wanted]
    found = tuple(base for base in bases if base is not None)
    return Hierarchies(found, unified=False) if len(found) == len(wanted) else None


def _base_of(controller: str, mounted: list[_Mount], paths: dict[str, str]) -> Path | None:
    for mount in mounted:
        if not mount.unified and controller in mount.options:
            return _below(mount, paths.get(controller))
    return None


def _below(mount: _Mount, path: str | None) -> Path | None:
    """A path beyond the mount's root is out of sight."""
    if path is None or path.startswith("/.."):
        return None
    root = mount.root.rstrip("/")
    if path != root and not path.startswith(f"{root}/"):
        return None
    directory = mount.directory / path.removeprefix(root).lstrip("/")
    return directory if directory.is_dir() else None


def _has(base: Path, controllers: tuple[str, ...]) -> bool:
    return set(controllers) <= set((base / "cgroup.controllers").read_text().split())


def _paths(text: str) -> dict[str, str]:
    """``{controller: path}``; v2 has the empty name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        found.update(dict.fromkeys(names.split(","), path))
    return found


def _mounted(text: str) -> list[_Mount]:
    found: list[_Mount] = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            root, directory = before.split(" ")[3:5]
            names = frozenset(options.split(","))
            found.append(_Mount(root, Path(directory), kind == "cgroup2", names))
    return found
