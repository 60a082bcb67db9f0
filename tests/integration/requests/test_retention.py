"""log_retention_days: a durable workflow deletes what is older, and nothing else."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from activities.retention import ensure_retention
from mcpbox.domain.base import utc_now
from mcpbox.domain.review_policy import ReviewPolicy, SecuritySettings
from mcpbox.store.tables.executions import ExecutionRow
from mcpbox.temporal import TASK_QUEUE
from tests.factories import DIGEST
from tests.integration.requests.conftest import Office
from tests.integration.requests.test_policy import policy_in_force
from workflows.retention import SCHEDULE_ID, WORKFLOW


def an_execution(tool_id: UUID, *, days_ago: float) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "tool_id": tool_id,
        "tool_name": "s__t",
        "version_number": 1,
        "digest": DIGEST,
        "caller": "client:laptop",
        "origin": "call",
        "outcome": "ok",
        "arguments": {},
        "result": "",
        "error": "",
        "stdout": "",
        "duration_ms": 1.0,
        "started_at": utc_now() - timedelta(days=days_ago),
    }


async def kept(office: Office) -> set[UUID]:
    async with office.database.sessions.begin() as session:
        return set(await session.scalars(select(ExecutionRow.id)))


async def forgotten(office: Office) -> int:
    return await office.env.client.execute_workflow(
        WORKFLOW, id=f"retention-{uuid4()}", task_queue=TASK_QUEUE, result_type=int
    )


async def test_rows_older_than_the_policy_allows_are_deleted(office: Office) -> None:
    tool = await office.draft()
    old, month, fresh = (an_execution(tool.id, days_ago=days) for days in (31, 29, 0))
    async with office.database.sessions.begin() as session:
        session.add_all(ExecutionRow(**values) for values in (old, month, fresh))
    await policy_in_force(office, ReviewPolicy())

    assert await forgotten(office) == 1
    assert await kept(office) == {month["id"], fresh["id"]}

    await policy_in_force(office, ReviewPolicy(settings=SecuritySettings(log_retention_days=1)))
    assert await forgotten(office) == 1
    assert await kept(office) == {fresh["id"]}


async def test_the_schedule_is_made_once_and_asks_every_hour(office: Office) -> None:
    await ensure_retention(office.env.client)
    await ensure_retention(office.env.client)

    described = await office.env.client.get_schedule_handle(SCHEDULE_ID).describe()
    assert [spec.every for spec in described.schedule.spec.intervals] == [timedelta(hours=1)]
