"""Counts for metrics."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Action
from mcpbox.domain.decisions import Channel
from mcpbox.domain.executions import ExecutionOutcome, Origin
from mcpbox.domain.requests import ReviewAfterwards, State
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.tables.audit import AuditRow
from mcpbox.store.tables.executions import ExecutionRow
from mcpbox.store.tables.requests import DecisionRow, RequestRow


async def requests_by_state(session: AsyncSession) -> dict[str, int]:
    """Every state, also those that no request is in."""
    rows = await session.execute(select(RequestRow.state, func.count()).group_by(RequestRow.state))
    return {**dict.fromkeys(State, 0), **dict(row.tuple() for row in rows)}


async def automatic_decisions(session: AsyncSession) -> dict[str, int]:
    """``{verdict: count}`` of what rules decided, for approve and deny."""
    rows = await session.execute(
        select(DecisionRow.verdict, func.count())
        .where(DecisionRow.channel == Channel.POLICY)
        .group_by(DecisionRow.verdict)
    )
    return {Verdict.APPROVE: 0, Verdict.DENY: 0, **dict(row.tuple() for row in rows)}


async def forced_by_review(session: AsyncSession) -> dict[str, int]:
    """Approvals that one admin forced, by whether somebody has reviewed them."""
    rows = await session.execute(
        select(RequestRow.review_afterwards, func.count())
        .where(RequestRow.review_afterwards.is_not(None))
        .group_by(RequestRow.review_afterwards)
    )
    return {**dict.fromkeys(ReviewAfterwards, 0), **{str(found): count for found, count in rows}}


async def executions_by_outcome(session: AsyncSession) -> dict[tuple[str, str], int]:
    """``{(origin, outcome): count}``, every pair."""
    rows = await session.execute(
        select(ExecutionRow.origin, ExecutionRow.outcome, func.count()).group_by(
            ExecutionRow.origin, ExecutionRow.outcome
        )
    )
    nothing: dict[tuple[str, str], int] = {(o, r): 0 for o in Origin for r in ExecutionOutcome}
    return {**nothing, **{(origin, outcome): count for origin, outcome, count in rows}}


async def audit_events_by_action(session: AsyncSession) -> dict[str, int]:
    """Every action, also those that never happened. Index: ``ix_audit_events_action``."""
    rows = await session.execute(select(AuditRow.action, func.count()).group_by(AuditRow.action))
    return {**dict.fromkeys(Action, 0), **dict(row.tuple() for row in rows)}
