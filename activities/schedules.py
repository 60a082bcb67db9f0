"""What is done again and again, by Temporal's clock."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
)

from workflows import external_sources, notices, reconciliation, recovery

_TIMEOUT = timedelta(minutes=5)
_CATCH_UP = timedelta(minutes=1)
"""Looks that were missed are not made up for: the next one sees it all."""
_PLANS = {
    reconciliation.RECONCILE: (
        reconciliation.EVERY,
        "Requests are shown as what became of their workflows.",
    ),
    notices.SEND: (notices.EVERY, "What people are told is sent to the targets outside."),
    recovery.WATCH: (
        recovery.EVERY,
        "A sandbox that was started anew is noticed, and every server brought back to it.",
    ),
    external_sources.CHECK_ALL: (
        external_sources.EVERY,
        "External sources are looked at; what is no longer what was approved is withdrawn.",
    ),
}
"""``{workflow type: how often, what for}``."""


async def ensure_schedules(client: Client, *, task_queue: str) -> None:
    """As this version wants them; safe at every start, and by several workers at once."""
    for workflow, (every, note) in _PLANS.items():
        await _ensure(client, _schedule_id(workflow), _plan(workflow, every, note, task_queue))


def _schedule_id(workflow: str) -> str:
    return f"mcpbox-{workflow}"


async def _ensure(client: Client, schedule_id: str, plan: Schedule) -> None:
    try:
        await client.create_schedule(schedule_id, plan)
    except ScheduleAlreadyRunningError:
        # What an operator paused stays paused.
        await client.get_schedule_handle(schedule_id).update(
            lambda found: ScheduleUpdate(
                Schedule(
                    action=plan.action,
                    spec=plan.spec,
                    policy=plan.policy,
                    state=found.description.schedule.state,
                )
            )
        )


def _plan(workflow: str, every: timedelta, note: str, task_queue: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            workflow, id=workflow, task_queue=task_queue, execution_timeout=_TIMEOUT
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
        state=ScheduleState(note=note),
    )
