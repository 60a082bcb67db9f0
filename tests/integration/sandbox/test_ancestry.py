"""Which processes somebody else may hand us a descriptor of."""

import asyncio
import os
import sys

from sandbox.ancestry import lies_below

ASLEEP = (sys.executable, "-c", "input()")
WITH_CHILD = (
    *(sys.executable, "-c"),
    "import os, subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'input()'])\n"
    "print(child.pid, flush=True)\nchild.wait()",
)


def answer(pid: int, ancestor_pid: int) -> bool:
    pidfd = os.pidfd_open(pid)
    try:
        return lies_below(pidfd, ancestor_pid)
    finally:
        os.close(pidfd)


async def started(*command: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)


async def test_a_process_lies_below_its_parents_and_nobody_else() -> None:
    parent, stranger = await started(*WITH_CHILD), await started(*ASLEEP)
    assert parent.stdout is not None
    grandchild = int(await parent.stdout.readline())

    answers = [
        answer(parent.pid, parent.pid),
        answer(grandchild, parent.pid),
        answer(stranger.pid, parent.pid),
        answer(os.getpid(), parent.pid),
        answer(os.getppid(), parent.pid),
        answer(parent.pid, grandchild),
    ]
    for process in (parent, stranger):
        await process.communicate(b"\n")

    assert answers == [True, True, False, False, False, False]


async def test_one_that_has_ended_may_be_named_for_nothing_can_be_done_to_it() -> None:
    process = await started(*ASLEEP)
    pidfd = os.pidfd_open(process.pid)
    await process.communicate(b"\n")

    assert lies_below(pidfd, os.getpid())
    os.close(pidfd)


async def test_what_is_no_process_is_refused() -> None:
    read, write = os.pipe()

    assert not lies_below(read, os.getpid())
    os.close(read)
    os.close(write)
