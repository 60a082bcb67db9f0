"""The processes below a service: find them, and wait for their end without polling."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

END_TIMEOUT_S = 10


def below(pid: int) -> list[int]:
    """All descendants of ``pid``, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children.get(parent, [])]
        found += level
    return found


def leaves_below(pid: int) -> list[int]:
    """The forked children: those that forked none themselves."""
    return [one for one in below(pid) if not below(one)]


def fork_server_below(pid: int) -> int:
    """The process whose children serve the jobs."""
    parents = (_parent(Path(f"/proc/{leaf}")) for leaf in leaves_below(pid))
    return next(parent for parent in parents if parent is not None)  # a leaf may just have ended


async def wait_gone(pids: Iterable[int]) -> None:
    """Raises: TimeoutError: one of them lives on."""
    async with asyncio.timeout(END_TIMEOUT_S):
        for pid in pids:
            await _wait_gone(pid)


async def wait_one_gone(pids: Iterable[int]) -> None:
    """Raises: TimeoutError: all of them live on."""
    waiting = [asyncio.ensure_future(_wait_gone(pid)) for pid in pids]
    try:
        async with asyncio.timeout(END_TIMEOUT_S):
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _wait_gone(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    gone = loop.create_future()
    loop.add_reader(pidfd, lambda: gone.done() or gone.set_result(None))
    try:
        await gone
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _parent(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return None if state == "Z" else int(parent)
