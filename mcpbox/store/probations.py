"""Queries on releases on probation: begun, counted and ended by whoever learns of it first."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin
from mcpbox.domain.ids import ReleaseId, RequestId, ToolId
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.probation import Probation, ProbationEnd, ProbationTerms
from mcpbox.policies.probation import end_of, terms_in_words, what_happened, why_over
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.tables.executions import ExecutionRow
from mcpbox.store.tables.releases import ProbationRow, ReleaseRow
from mcpbox.store.tables.tools import VersionRow

_RAN = (ExecutionOutcome.OK, ExecutionOutcome.ERROR)
_Found = tuple[ProbationRow, ReleaseRow, int]


async def begin_probation(
    session: AsyncSession, release: ReleaseRow, terms: ProbationTerms
) -> None:
    """In the transaction that makes the release; whoever watches starts its timer."""
    await session.flush()
    await session.execute(
        insert(ProbationRow)
        .values(
            release_id=release.id,
            tool_id=release.tool_id,
            terms=terms.model_dump(mode="json"),
            began_at=release.active_from,
            until=end_of(terms, release.active_from),
            calls=0,
            errors=0,
            undeclared=[],
        )
        .on_conflict_do_nothing()
    )
    announce(session, Topic.PROBATIONS, release.id)
    add_event(
        session,
        actor=SYSTEM.label,
        action=Action.PROBATION_BEGAN,
        subject=f"tool:{release.tool_id}",
        detail=terms_in_words(terms),
        facts={"digest": release.digest, "release": str(release.id)},
    )


async def count_executions(session: AsyncSession, executions: Sequence[Execution]) -> None:
    """Counts anew what ran, and ends what is over: the same batch twice changes nothing."""
    tool_ids = {one.tool_id for one in executions if one.origin is Origin.CALL}
    if not tool_ids:
        return
    rows = await session.execute(
        _probations()
        .where(ProbationRow.tool_id.in_(tool_ids), ProbationRow.ended_at.is_(None))
        .order_by(ProbationRow.release_id)
        .with_for_update(of=ProbationRow)
    )
    for row, release, number in rows.all():
        tried = {
            host
            for one in executions
            if one.tool_id == row.tool_id and one.digest == release.digest
            for host in one.undeclared
        }
        row.undeclared = sorted({*row.undeclared, *tried})
        ran, failed = await _ran(session, row, release)
        row.calls, row.errors = max(row.calls, ran), max(row.errors, failed)
        await end_if_over(session, (row, release, number), utc_now())


async def end_if_over(session: AsyncSession, found: _Found, now: datetime) -> None:
    """Withdraws the tool in this transaction: it is no longer listed or called once it commits."""
    row, release, _ = found
    if row.ended_at is not None:
        return
    replaced = release.active_to is not None
    cause = ProbationEnd.REPLACED if replaced else why_over(probation_of(found), now)
    if cause is None:
        return
    row.ended_at, row.cause = now, cause
    if not replaced:
        release.active_to = now
        announce(session, Topic.CATALOG, row.tool_id)
    await session.flush()
    announce(session, Topic.PROBATIONS, row.release_id)
    announce(session, Topic.REQUESTS, release.request_id)
    add_event(
        session,
        actor=SYSTEM.label,
        action=Action.PROBATION_ENDED,
        subject=f"tool:{row.tool_id}",
        detail=what_happened(probation_of(found)),
        facts={"cause": cause, "digest": release.digest, "release": str(release.id)},
    )


async def find_probation(
    session: AsyncSession, release_id: UUID, *, for_update: bool = False
) -> _Found | None:
    found = _probations().where(ProbationRow.release_id == release_id)
    if for_update:
        found = found.with_for_update(of=ProbationRow)
    return (await session.execute(found)).one_or_none()


async def newest_of_tool(session: AsyncSession, tool_id: UUID) -> Probation | None:
    """Of the newest release; ``None`` where that was approved for good."""
    newest = (
        select(ReleaseRow.id)
        .where(ReleaseRow.tool_id == tool_id)
        .order_by(ReleaseRow.active_from.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(_probations().where(ProbationRow.release_id == newest))
    row = rows.one_or_none()
    return None if row is None else probation_of(row)


async def of_request(session: AsyncSession, request_id: UUID) -> Probation | None:
    """Of the release that this request made."""
    rows = await session.execute(_probations().where(ReleaseRow.request_id == request_id))
    row = rows.one_or_none()
    return None if row is None else probation_of(row)


async def ended_of_version(session: AsyncSession, version_id: UUID) -> list[Probation]:
    """Those that a new request for the same version has to answer for; newest first."""
    rows = await session.execute(
        _probations()
        .where(
            ReleaseRow.version_id == version_id,
            ProbationRow.cause.is_not(None),
            ProbationRow.cause != ProbationEnd.REPLACED,
        )
        .order_by(ProbationRow.began_at.desc())
    )
    return [probation_of(row) for row in rows]


async def to_attend(session: AsyncSession) -> list[tuple[Probation, bool]]:
    """Those whose workflow has not ended, and whether it has something to do; oldest first.

    Index: ``ix_probations_open``.
    """
    rows = await session.execute(
        _probations().where(ProbationRow.closed_at.is_(None)).order_by(ProbationRow.began_at)
    )
    return [
        (probation_of((row, release, number)), bool(row.ended_at or release.active_to))
        for row, release, number in rows
    ]


async def counts_by_state(session: AsyncSession) -> dict[str, int]:
    """``running``, or what ended it."""
    rows = await session.execute(
        select(func.coalesce(ProbationRow.cause, "running"), func.count()).group_by(
            ProbationRow.cause
        )
    )
    return {state: count for state, count in rows}  # noqa: C416 - rows are not pairs to pyright


def probation_of(found: _Found) -> Probation:
    row, release, number = found
    return Probation(
        release_id=ReleaseId(row.release_id),
        tool_id=ToolId(row.tool_id),
        request_id=RequestId(release.request_id),
        version_number=number,
        terms=ProbationTerms.model_validate(row.terms),
        began_at=row.began_at,
        until=row.until,
        calls=row.calls,
        errors=row.errors,
        undeclared=tuple(row.undeclared),
        ended_at=row.ended_at,
        cause=None if row.cause is None else ProbationEnd(row.cause),
    )


def _probations() -> Select[ProbationRow, ReleaseRow, int]:
    return (
        select(ProbationRow, ReleaseRow, VersionRow.number)
        .join(ReleaseRow, ReleaseRow.id == ProbationRow.release_id)
        .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
    )


async def _ran(session: AsyncSession, row: ProbationRow, release: ReleaseRow) -> tuple[int, int]:
    rows = await session.execute(
        select(
            func.count(),
            func.count().filter(ExecutionRow.outcome == ExecutionOutcome.ERROR),
        ).where(
            ExecutionRow.tool_id == row.tool_id,
            ExecutionRow.digest == release.digest,
            ExecutionRow.origin == Origin.CALL,
            ExecutionRow.outcome.in_(_RAN),
            ExecutionRow.started_at >= row.began_at,
        )
    )
    ran, failed = rows.one()
    return ran, failed
