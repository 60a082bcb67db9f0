"""Zygote side of a module set: import code that is not ours, after everything is locked.

Where the process is alone in its namespaces, the fork server imports it once for all its children.
Elsewhere a stray process could outlive it, so each child imports for itself, behind its own locks.
"""

import ctypes
import importlib
import io
import os
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NamedTuple

from sandbox import namespace
from sandbox.lockdown import rlimits, seccomp
from sandbox.words import words

_MEMORY_BYTES = 2**30
"""What importing may take; and then a call, whatever more its limits say."""
_ALLOWANCE_BYTES = 256 * 2**20
"""On top of a call's memory, where each child imports for itself."""
FOREIGN_ENVIRONMENT = {
    "LD_BIND_NOW": "1",
    **dict.fromkeys(
        words("""
        MKL_NUM_THREADS NUMEXPR_MAX_THREADS NUMEXPR_NUM_THREADS OMP_NUM_THREADS
        OPENBLAS_NUM_THREADS RAYON_NUM_THREADS VECLIB_MAXIMUM_THREADS
    """),
        "1",
    ),
    "HOME": "/",
    "MALLOC_ARENA_MAX": "1",
}
"""There are no threads, and a fork would lose them; a server's would each reserve memory."""

_SYSTEM_LIBRARIES = words("""
    libgcc_s.so.1 libstdc++.so.6 libm.so.6 libdl.so.2 librt.so.1 libpthread.so.0 libutil.so.1
    libresolv.so.2 libatomic.so.1 libz.so.1 libexpat.so.1
""")
"""What a manylinux wheel may expect of a system. Source: PEP 600."""
_USED_BY_US = words("""
    anyio anyio._backends._asyncio certifi h11 httpcore idna importlib.metadata importlib.resources
    pydantic.deprecated.parse
""")
_MAX_MESSAGE_CHARACTERS = 300


class Stages(NamedTuple):
    """How a child gives up system calls."""

    at_once: Callable[[], object]
    before_its_code: Callable[[], object]
    """What is left: where it can still read files, until it has found a server's code."""


StagesByThreads = dict[bool, Stages]
"""By whether the child may have threads."""


class Unguarded(Exception):
    """Nothing would keep files from code that is not ours."""


@dataclass(frozen=True)
class ForeignModules:
    directory: str
    """The only one of its path that is not Python's own."""
    names: list[str]
    user_offset: int
    """Each fork server of a set is a user of its own, where there are users to choose from."""
    processes: int


def load_what_is_ours() -> None:
    """While system libraries can still be opened, and before anybody else has a say."""
    for name in _SYSTEM_LIBRARIES:
        with suppress(OSError):
            ctypes.CDLL(name)
    for name in _USED_BY_US:
        with suppress(ImportError):
            importlib.import_module(name)


def bring_in(
    foreign: ForeignModules,
    address_space_bytes: int,
    stages: StagesByThreads,
    announce: Callable[[str], object],
    *,
    alone: bool,
    landlocked: bool,
) -> tuple[StagesByThreads, int]:
    """Import now, where this process is ``alone`` in its namespaces, or in each child.

    Answers what a child does before it runs a tool, instead of ``stages``, and what memory it may
    take for that. Raises: Unguarded.
    """
    if alone:
        _import_all(foreign, address_space_bytes, announce)
        return stages, 0
    if not landlocked:
        raise Unguarded("modules need a private root or Landlock, and this machine has neither")

    def importing_first(threads: bool, given: Stages) -> Stages:
        filter_importing = seccomp.prepared_install(seccomp.importing_filter(threads=threads))

        def filter_and_import() -> None:
            filter_importing()
            _import_all(foreign, address_space_bytes, lambda _: None)

        return Stages(filter_and_import, given.at_once)

    importing = {threads: importing_first(threads, given) for threads, given in stages.items()}
    return importing, _ALLOWANCE_BYTES


def _import_all(
    foreign: ForeignModules, address_space_bytes: int, announce: Callable[[str], object]
) -> None:
    """One that cannot be imported says so to whoever imports it later. ``announce``: before each.

    From now on, new names are Python's own or the set's; ours are loaded, or found no more.
    """
    rlimits.set_import_limits(
        address_space_bytes=address_space_bytes,
        memory_bytes=_MEMORY_BYTES,
        processes=foreign.processes,
    )
    standard = sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")
    python = {path for top in standard for path in (top, os.path.join(top, "lib-dynload"))}
    sys.path[:] = [*(path for path in sys.path if path in python), foreign.directory]
    sys.stdout, sys.stderr = _Later("stdout"), _Later("stderr")
    unusable: dict[str, str] = {}
    for name in foreign.names:
        announce(name)
        try:
            _load_fully(importlib.import_module(name))
            namespace.prepare_granted(name)
        except BaseException as error:  # noqa: BLE001  whatever code raises that is not ours
            unusable[name] = _text_of(error, foreign.directory)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    sys.meta_path.insert(0, _Unusable(unusable))
    os.register_at_fork(after_in_child=_draw_other_numbers)
    rlimits.end_import()


class _Later(io.TextIOBase):
    """Drops what is printed; kept by a module, as by its log handler, it prints where others do."""

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str, /) -> int:
        stream = getattr(sys, self._name)
        return len(text) if stream is self else stream.write(text)

    def flush(self) -> None:
        stream = getattr(sys, self._name)
        if stream is not self:
            stream.flush()


class _Unusable(MetaPathFinder):
    def __init__(self, reasons: dict[str, str]) -> None:
        self._reasons = reasons

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        reason = self._reasons.get(fullname)
        if reason is None:
            return None
        raise ImportError(f"Module {fullname!r} cannot be imported here: {reason}", name=fullname)


def _draw_other_numbers() -> None:
    """Else every call would be given the same ones; Python's own generator knows about forks."""
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        with suppress(Exception):
            numbers.seed()


def _load_fully(module: ModuleType) -> None:
    """Parts that come with first use, which would then be paid for in every call."""
    for name in getattr(module, "__all__", ()):
        with suppress(Exception):
            getattr(module, name)


def _text_of(error: BaseException, directory: str) -> str:
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001  __str__ is not our code either
        text = type(error).__name__
    text = text.replace(directory, "…")[:_MAX_MESSAGE_CHARACTERS]
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
