"""Service side of unpacking: a fresh, locked-down process per set."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache
from pathlib import Path

from packaging.tags import Tag, sys_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

import sandbox
from sandbox.contract import Wheel
from sandbox.lockdown import privileges
from sandbox.module_sets.cache import WheelCache
from sandbox.module_sets.manifest import Manifest
from sandbox.module_sets.names import PROVIDED_DISTRIBUTIONS
from sandbox.module_sets.unpacking import BOOTSTRAP, REFUSED_STATUS, Order

_TIMEOUT_S = 300.0
_MAX_ANSWER_BYTES = 16 * 2**20
_SHOWN = 400

log = logging.getLogger(__name__)


class SetRefused(Exception):
    """Fit for the caller: which wheel, and why it is not unpacked."""


def chosen(wheels: Iterable[Wheel]) -> list[Wheel]:
    """Those to unpack, once all fit this interpreter and machine. Raises: SetRefused."""
    wanted: list[Wheel] = []
    for wheel in wheels:
        try:
            name, _, _, tags = parse_wheel_filename(wheel.filename)
        except InvalidWheelFilename:
            raise SetRefused(f"{wheel.filename!r} is not the file name of a wheel.") from None
        if tags.isdisjoint(_tags_of_this_machine()):
            raise SetRefused(
                f"The wheel {wheel.filename} does not fit this sandbox, which is "
                f"{next(iter(sys_tags()))}; choose one for that, or one of pure Python."
            )
        if name not in PROVIDED_DISTRIBUTIONS:
            wanted.append(wheel)
    return wanted


async def unpacked(wheels: Iterable[Wheel], cached: WheelCache, target: Path) -> Manifest:
    """What now lies in ``target``, an empty directory, if the unpacking process is to be believed.

    Raises: SetRefused; FileNotFoundError: a wheel left the cache.
    """
    with ExitStack() as open_files:
        descriptors: list[tuple[int, str]] = []
        for wheel in wheels:
            file = open_files.enter_context(cached.path_of(wheel.sha256).open("rb"))
            descriptors.append((file.fileno(), wheel.filename))
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        open_files.callback(os.close, folder)
        privileges.give_away(folder)
        order = Order(service_pid=os.getpid(), wheels=descriptors, target=folder)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", BOOTSTRAP),
            *(str(Path(sandbox.__file__ or "").parents[1]), json.dumps(asdict(order))),
            pass_fds=[folder, *(fd for fd, _ in descriptors)],
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answer = await _answer_of(process)
            status = await process.wait()
    except TimeoutError:
        raise SetRefused(f"Unpacking took longer than {_TIMEOUT_S:g} s and was stopped.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status == REFUSED_STATUS:
        raise SetRefused(answer.decode(errors="replace").strip())
    if status != 0:
        log.warning("unpacking ended with status %d: %r", status, bytes(answer[-_SHOWN:]))
        raise SetRefused("The process that unpacked the wheels ended early: one is too costly.")
    try:
        return Manifest.from_json(answer)
    except ValueError as error:
        raise SetRefused("The process that unpacked the wheels gave no usable answer.") from error


async def _answer_of(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    answer = bytearray()
    while piece := await process.stdout.read(2**16):
        answer += piece
        if len(answer) > _MAX_ANSWER_BYTES:
            raise SetRefused("The process that unpacked the wheels said too much.")
    return bytes(answer)


@cache
def _tags_of_this_machine() -> frozenset[Tag]:
    return frozenset(sys_tags())
