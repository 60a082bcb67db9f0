"""Carries notices to targets outside: a schedule finds what is due, a workflow tells it."""

import asyncio
from abc import ABC, abstractmethod
from datetime import timedelta
from uuid import UUID

from temporalio import activity, workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from mcpbox.domain.base import DomainModel
    from mcpbox.domain.notices import Notice

SEND = "SendNotices"
DELIVER = "DeliverNotice"
EVERY = timedelta(seconds=10)
_STORE_TIMEOUT = timedelta(seconds=10)
_SEND_TIMEOUT = timedelta(seconds=40)
_SEND_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=2),
    backoff_coefficient=3,
    maximum_interval=timedelta(hours=1),
    maximum_attempts=12,
)
"""About five hours."""


class DueNotices(DomainModel):
    notice_ids: tuple[UUID, ...]


class NoticeId(DomainModel):
    notice_id: UUID


class OpenDeliveries(DomainModel):
    target_ids: tuple[UUID, ...]


class Delivery(NoticeId):
    target_id: UUID


class NoticeActivities(ABC):
    @activity.defn
    @abstractmethod
    async def notify(self, given: Notice) -> None:
        """For workflows: tells people of an event, once for each key."""

    @activity.defn
    @abstractmethod
    async def due_notices(self) -> DueNotices: ...

    @activity.defn
    @abstractmethod
    async def open_deliveries(self, given: NoticeId) -> OpenDeliveries: ...

    @activity.defn
    @abstractmethod
    async def deliver(self, given: Delivery) -> None:
        """Raises: ApplicationError: it did not arrive, and why."""

    @activity.defn
    @abstractmethod
    async def give_up(self, given: Delivery) -> None: ...


@workflow.defn(name=SEND)
class SendNoticesWorkflow:
    """Run by a schedule; where nothing is due it costs one query."""

    @workflow.run
    async def run(self) -> None:
        due = await workflow.execute_activity_method(
            NoticeActivities.due_notices,
            start_to_close_timeout=_STORE_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
        for notice_id in due.notice_ids:
            try:
                await workflow.start_child_workflow(
                    DELIVER,
                    NoticeId(notice_id=notice_id),
                    id=f"notice/{notice_id}",
                    # Again after it failed as a whole, as when it was terminated.
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    parent_close_policy=ParentClosePolicy.ABANDON,
                )
            except WorkflowAlreadyStartedError:
                continue


@workflow.defn(name=DELIVER)
class DeliverNoticeWorkflow:
    """At least once to each target, under an id that the receiver knows again."""

    @workflow.run
    async def run(self, given: NoticeId) -> None:
        found = await workflow.execute_activity_method(
            NoticeActivities.open_deliveries, given, start_to_close_timeout=_STORE_TIMEOUT
        )
        # Side by side: a target that is away for hours keeps no other one waiting.
        await asyncio.gather(
            *(
                self._deliver(Delivery(notice_id=given.notice_id, target_id=target_id))
                for target_id in found.target_ids
            )
        )

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await workflow.execute_activity_method(
                NoticeActivities.deliver,
                delivery,
                start_to_close_timeout=_SEND_TIMEOUT,
                retry_policy=_SEND_RETRY,
            )
        except ActivityError:
            await workflow.execute_activity_method(
                NoticeActivities.give_up, delivery, start_to_close_timeout=_STORE_TIMEOUT
            )
