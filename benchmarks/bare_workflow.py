"""The floor of a request: a bare workflow with one update and one local activity, on its own.

What a decision costs here is the price of durability; what a request costs beyond is ours.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.beside import ending
from cli.processes import dies_with_parent

QUEUE = "benchmarks-floor"
WORKFLOW = "BareWorkflow"
DECIDE = "decide"


@activity.defn
async def keep(verdict: str) -> str:
    return verdict


@workflow.defn(name=WORKFLOW)
class BareWorkflow:
    def __init__(self) -> None:
        self._decided = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._decided)
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update(name=DECIDE)
    async def decide(self, verdict: str) -> str:
        kept = await workflow.execute_local_activity(
            keep, verdict, start_to_close_timeout=timedelta(seconds=10)
        )
        self._decided = True
        return kept

    @decide.validator
    def _admit(self, verdict: str) -> None:
        if not verdict:
            raise ValueError("Say a verdict.")


@contextmanager
def bare_worker(target: str) -> Generator[int]:
    """Its pid; in a process of its own, as ours is."""
    process = subprocess.Popen(  # noqa: S603 - this module
        [sys.executable, "-m", "benchmarks.bare_workflow", target],
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )
    with ending(process):
        yield process.pid


async def _work(target: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(target)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareWorkflow],
        activities=[keep],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1]))
