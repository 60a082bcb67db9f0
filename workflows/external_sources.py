"""Looking at external sources: on a schedule, on demand, and when one says that it changed.

What is no longer what was approved is withdrawn in the activity; people are asked about it here.
"""

import asyncio
from abc import ABC, abstractmethod
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from mcpbox import temporal
    from mcpbox.domain.base import DomainModel
    from mcpbox.domain.external_sources import SourceCheck, SourceChecked
    from mcpbox.domain.ids import SourceId
    from mcpbox.domain.requests import RequestDraft
    from workflows.asking import ask_again
    from workflows.doing import Patience, patiently

CHECK_ALL = "CheckSources"
EVERY = timedelta(minutes=5)
_AT_ONCE = 4
_PATIENCE = Patience(
    each_try=timedelta(seconds=40),
    in_all=timedelta(minutes=2),
    retry=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_attempts=3),
)


class Asking(DomainModel):
    """A request that is to be opened, and its workflow id."""

    draft: RequestDraft
    workflow_id: str


class LookedAt(SourceChecked):
    asking: tuple[Asking, ...] = ()


class FoundSources(DomainModel):
    source_ids: tuple[SourceId, ...]


class SourceActivities(ABC):
    @activity.defn
    @abstractmethod
    async def find_sources(self) -> FoundSources: ...

    @activity.defn
    @abstractmethod
    async def look_at_source(self, given: SourceCheck) -> LookedAt:
        """Keeps what it offers and how it is; withdraws what is not what was approved.

        A source that cannot be reached is an answer. Run twice, it says the same again. Heartbeats.
        """


@workflow.defn(name=temporal.SOURCE_CHECK)
class CheckSourceWorkflow:
    @workflow.run
    async def run(self, given: SourceCheck) -> SourceChecked:
        looked = await patiently(SourceActivities.look_at_source, given, _PATIENCE)
        for asking in looked.asking:
            await ask_again(asking.draft, asking.workflow_id)
        return SourceChecked(
            state=looked.state, withdrawn=looked.withdrawn, asked=len(looked.asking)
        )


@workflow.defn(name=CHECK_ALL)
class CheckSourcesWorkflow:
    """A few at a time; one that is being looked at already is left to that."""

    @workflow.run
    async def run(self) -> int:
        found = await workflow.execute_activity_method(
            SourceActivities.find_sources, start_to_close_timeout=_PATIENCE.each_try
        )
        room = asyncio.Semaphore(_AT_ONCE)
        looks = [_look(room, source_id) for source_id in found.source_ids]
        return sum(await asyncio.gather(*looks))


async def _look(room: asyncio.Semaphore, source_id: SourceId) -> bool:
    async with room:
        try:
            await workflow.execute_child_workflow(
                CheckSourceWorkflow.run,
                SourceCheck(source_id=source_id),
                id=temporal.source_check_id(source_id),
            )
        except (WorkflowAlreadyStartedError, ChildWorkflowError):
            return False
    return True
