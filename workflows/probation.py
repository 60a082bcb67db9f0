"""One release on probation: waits for its end, and asks people again when it has ended."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from mcpbox import temporal
    from workflows.asking import ask_again
    from workflows.contracts import (
        CloseProbation,
        EndedProbation,
        EndProbation,
        ProbationActivities,
        ProbationInput,
    )
    from workflows.kinds import STORE_TIMEOUT

_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)
"""Without end, as all that writes what was decided."""


@workflow.defn(name=temporal.PROBATION)
class ProbationWorkflow:
    """Its timer is the end in time; whoever ends it earlier tells it to look.

    Nothing depends on the message: the row is what counts, and it is looked at anew.
    """

    @workflow.init
    def __init__(self, given: ProbationInput) -> None:
        self._given = given
        self._look = False

    @workflow.run
    async def run(self, given: ProbationInput) -> None:
        while not (ended := await self._wait_and_look()).over:
            pass
        if ended.reopened is not None:
            await ask_again(ended.reopened, ended.workflow_id)
        await workflow.execute_activity_method(
            ProbationActivities.close_probation,
            CloseProbation(release_id=given.release_id),
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=_RETRY,
        )

    async def _wait_and_look(self) -> EndedProbation:
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._look, timeout=self._left(), timeout_summary="end of probation"
            )
        self._look = False
        return await workflow.execute_activity_method(
            ProbationActivities.end_probation,
            EndProbation(release_id=self._given.release_id, at=workflow.now()),
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=_RETRY,
        )

    def _left(self) -> timedelta | None:
        if self._given.until is None:
            return None
        return max(self._given.until - workflow.now(), timedelta(milliseconds=1))

    @workflow.signal(name=temporal.Message.LOOK, description="Look whether it is over.")
    async def look(self, _: Any = None) -> None:
        self._look = True
