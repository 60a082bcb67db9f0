"""Queries on the execution log."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import NotFound
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin, Overview
from mcpbox.domain.ids import Digest, ExecutionId, ToolId
from mcpbox.domain.requests import State
from mcpbox.domain.servers import DesiredState
from mcpbox.domain.tools import ToolVersion
from mcpbox.store.changes import Topic, announce
from mcpbox.store.tables.executions import ExecutionRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import ToolRow

_HOURS = 24


async def add_executions(session: AsyncSession, executions: Sequence[Execution]) -> None:
    """Insert once; the same execution id again is left alone, so a batch may be sent twice."""
    if not executions:
        return
    statement = insert(ExecutionRow).on_conflict_do_nothing(index_elements=["id"])
    await session.execute(statement, [execution.model_dump() for execution in executions])
    announce(session, Topic.EXECUTIONS, len(executions))


async def delete_executions_before(session: AsyncSession, before: datetime, *, limit: int) -> int:
    """How many were deleted, the oldest first. Index: ``ix_executions_started_at``."""
    oldest = (
        select(ExecutionRow.id)
        .where(ExecutionRow.started_at < before)
        .order_by(ExecutionRow.started_at)
        .limit(limit)
    )
    deleted = await session.scalars(
        delete(ExecutionRow).where(ExecutionRow.id.in_(oldest)).returning(ExecutionRow.id)
    )
    count = len(deleted.all())
    if count:
        announce(session, Topic.EXECUTIONS, count)
    return count


async def executions(
    session: AsyncSession,
    page: PageRequest,
    *,
    tool_id: UUID | None = None,
    outcome: ExecutionOutcome | None = None,
    origin: Origin | None = None,
) -> Page[Execution]:
    """Newest first."""
    found = select(ExecutionRow)
    if tool_id is not None:
        found = found.where(ExecutionRow.tool_id == tool_id)
    if outcome is not None:
        found = found.where(ExecutionRow.outcome == outcome)
    if origin is not None:
        found = found.where(ExecutionRow.origin == origin)
    total = await session.scalar(select(func.count()).select_from(found.subquery()))
    rows = await session.scalars(
        found.order_by(ExecutionRow.started_at.desc()).offset(page.offset).limit(page.page_size)
    )
    return Page[Execution](
        items=[_execution(row) for row in rows],
        total=total or 0,
        page=page.page,
        page_size=page.page_size,
    )


async def recorded_calls(
    session: AsyncSession, version: ToolVersion, limit: int
) -> list[dict[str, Any]]:
    """Arguments of the newest calls that ran this version, as they were kept, each once."""
    rows = await session.scalars(
        select(ExecutionRow.arguments)
        .where(
            ExecutionRow.tool_id == version.tool_id,
            ExecutionRow.digest == version.digest,
            ExecutionRow.origin == Origin.CALL,
            ExecutionRow.outcome.in_((ExecutionOutcome.OK, ExecutionOutcome.ERROR)),
        )
        .order_by(ExecutionRow.started_at.desc())
        .limit(limit)
    )
    found: list[dict[str, Any]] = []
    for arguments in rows:
        if arguments not in found:
            found.append(arguments)
    return found


async def get_execution(session: AsyncSession, execution_id: UUID) -> Execution:
    """Raises: NotFound."""
    row = await session.get(ExecutionRow, execution_id)
    if row is None:
        raise NotFound("execution", execution_id)
    return _execution(row)


async def overview(session: AsyncSession) -> Overview:
    now = utc_now()
    since = now - timedelta(hours=_HOURS)
    calls = (ExecutionRow.origin == Origin.CALL) & (ExecutionRow.started_at > since)
    failed = ExecutionRow.outcome != ExecutionOutcome.OK
    by_hour = [0] * _HOURS
    failures_by_hour = [0] * _HOURS
    age = func.floor(func.extract("epoch", now - ExecutionRow.started_at) / 3600)
    for hours_ago, count, failures in await session.execute(
        select(age, func.count(), func.count().filter(failed)).where(calls).group_by(age)
    ):
        place = _HOURS - 1 - max(0, min(_HOURS - 1, int(hours_ago)))
        by_hour[place] += count
        failures_by_hour[place] += failures
    quantiles = await session.execute(
        select(
            func.percentile_cont(0.5).within_group(ExecutionRow.duration_ms),
            func.percentile_cont(0.99).within_group(ExecutionRow.duration_ms),
        ).where(calls, ~failed)
    )
    p50, p99 = quantiles.one()
    running = ServerRow.desired_state == DesiredState.RUNNING
    servers = await session.execute(
        select(func.count(), func.count().filter(running))
        .select_from(ServerRow)
        .where(ServerRow.deleted_at.is_(None))
    )
    servers_total, servers_running = servers.one()
    return Overview(
        awaiting_decision=await session.scalar(
            select(func.count())
            .select_from(RequestRow)
            .where(RequestRow.state == State.AWAITING_DECISION)
        )
        or 0,
        servers_running=servers_running,
        servers_total=servers_total,
        tools_released=await session.scalar(
            select(func.count())
            .select_from(ReleaseRow)
            .join(ToolRow, ToolRow.id == ReleaseRow.tool_id)
            .where(ReleaseRow.active_to.is_(None), ToolRow.deleted_at.is_(None))
        )
        or 0,
        tools_total=await session.scalar(
            select(func.count()).select_from(ToolRow).where(ToolRow.deleted_at.is_(None))
        )
        or 0,
        calls=sum(by_hour),
        calls_failed=sum(failures_by_hour),
        call_p50_ms=p50,
        call_p99_ms=p99,
        calls_by_hour=by_hour,
        failures_by_hour=failures_by_hour,
    )


def _execution(row: ExecutionRow) -> Execution:
    return Execution(
        id=ExecutionId(row.id),
        tool_id=ToolId(row.tool_id),
        tool_name=row.tool_name,
        version_number=row.version_number,
        digest=Digest(row.digest),
        caller=row.caller,
        origin=Origin(row.origin),
        outcome=ExecutionOutcome(row.outcome),
        arguments=row.arguments,
        result=row.result,
        error=row.error,
        stdout=row.stdout,
        undeclared=tuple(row.undeclared),
        duration_ms=row.duration_ms,
        started_at=row.started_at,
    )
