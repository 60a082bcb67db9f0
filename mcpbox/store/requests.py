"""Queries on change requests: the projection that workflows write and faces read."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mcpbox.domain.base import Page, PageRequest
from mcpbox.domain.comments import Comment
from mcpbox.domain.decisions import Channel, Decision
from mcpbox.domain.errors import NotFound
from mcpbox.domain.evidence import Check, Evidence, Finding, HostUse, Risk, Status, TrialRun
from mcpbox.domain.ids import (
    CommentId,
    DecisionId,
    Digest,
    RequestId,
    ServerId,
    ToolId,
    VersionId,
)
from mcpbox.domain.manifests import Needs
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.requests import (
    RequestDetail,
    RequestSummary,
    ReviewAfterwards,
    Round,
    State,
)
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.subjects import (
    GrantSubject,
    HostSubject,
    Kind,
    ModuleSubject,
    SecretSubject,
    Subject,
)
from mcpbox.domain.tools import callable_name
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.probation import strictest
from mcpbox.policies.review import RequestFacts, standing_votes, who_voted
from mcpbox.policies.risk import score_of
from mcpbox.store import audit, modules, probations
from mcpbox.store.tables.evidence import EvidenceRow
from mcpbox.store.tables.requests import CommentRow, DecisionRow, RequestRow, RoundRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import VersionRow
from mcpbox.store.tools import find_version_of

Released = aliased(VersionRow, name="released_version")
_SUBJECT: TypeAdapter[Subject] = TypeAdapter(Subject)
# Built once: making a statement takes longer than the server takes for it.
_ONE = select(RequestRow).where(RequestRow.id == bindparam("request_id"))
_LOCKED = _ONE.with_for_update().execution_options(populate_existing=True)
_DECISIONS = (
    select(DecisionRow)
    .where(DecisionRow.request_id == bindparam("request_id"))
    .order_by(DecisionRow.decided_at)
)
_DECIDED = (
    select(RequestRow, DecisionRow)
    .outerjoin(DecisionRow, DecisionRow.request_id == RequestRow.id)
    .where(RequestRow.id == bindparam("request_id"))
    .order_by(DecisionRow.decided_at)
)
_EVIDENCE = select(EvidenceRow).where(EvidenceRow.request_id == bindparam("request_id"))


async def requests(
    session: AsyncSession,
    page: PageRequest,
    states: Sequence[State] = (),
    tool_id: UUID | None = None,
    review_afterwards: ReviewAfterwards | None = None,
) -> Page[RequestSummary]:
    """Newest first; no states means all of them. Index: ``ix_change_requests_created_at``."""
    wanted: list[ColumnElement[bool]] = []
    if review_afterwards is not None:
        wanted.append(RequestRow.review_afterwards == review_afterwards)
    if states:
        wanted.append(RequestRow.state.in_(states))
    if tool_id is not None:
        wanted.append(RequestRow.tool_id == tool_id)
    total = await session.scalar(select(func.count()).select_from(RequestRow).where(*wanted))
    rows = await session.execute(
        _requests()
        .where(*wanted)
        .order_by(RequestRow.created_at.desc())
        .offset(page.offset)
        .limit(page.page_size)
    )
    return Page[RequestSummary](
        items=[RequestSummary(**_summary(*found)) for found in rows],
        total=total or 0,
        page=page.page,
        page_size=page.page_size,
    )


async def get_request(session: AsyncSession, request_id: UUID) -> RequestDetail:
    """Raises: NotFound."""
    rows = await session.execute(_WITH_VERSIONS, {"request_id": request_id})
    found = rows.one_or_none()
    if found is None:
        raise NotFound("request", request_id)
    row, server_name, tool_name, number, released_number, proposed, released = found
    evidence = await evidence_of(session, request_id)
    resolved = (piece.digest for piece in evidence if piece.check is Check.PACKAGES)
    lock = await modules.find_lock(session, next(resolved, Digest(row.digest)))
    installed = await modules.lock_of(session, row.server_id) if lock else None
    return RequestDetail(
        **_summary(row, server_name, tool_name, number, released_number),
        proposed=find_version_of(proposed),
        released=find_version_of(released),
        lock=lock,
        installed=None if installed == lock else installed,
        probation=await probations.of_request(session, request_id),
        needs=Needs.model_validate(row.needs),
        granted=None if row.granted is None else Needs.model_validate(row.granted),
        terms=ReviewTerms.model_validate(row.terms) if row.terms else None,
        authors=frozenset(row.authors),
        owners=frozenset(row.owners),
        escalated=row.escalated_at is not None,
        comments=await comments_of(session, request_id),
        rounds=await rounds_of(session, request_id),
        evidence=evidence,
        # Nothing is added to the evidence once the risk is known.
        score=None if row.risk is None else score_of(evidence),
        decisions=await decisions_of(session, request_id),
        history=await audit.history_of(session, subject_of(request_id)),
    )


async def find_request(session: AsyncSession, request_id: UUID) -> RequestSummary | None:
    rows = await session.execute(_SUMMARY, {"request_id": request_id})
    found = rows.one_or_none()
    return None if found is None else RequestSummary(**_summary(*found))


async def find_request_row(session: AsyncSession, request_id: UUID) -> RequestRow | None:
    return await session.scalar(_ONE, {"request_id": request_id})


async def get_decided(session: AsyncSession, request_id: UUID) -> tuple[RequestRow, list[Decision]]:
    """With its decisions, oldest first. Raises: NotFound."""
    found = (await session.execute(_DECIDED, {"request_id": request_id})).all()
    if not found:
        raise NotFound("request", request_id)
    votes: list[DecisionRow | None] = [vote for _, vote in found]
    return found[0][0], [_decision(vote) for vote in votes if vote is not None]


async def get_request_row(session: AsyncSession, request_id: UUID) -> RequestRow:
    """Locked for update. Raises: NotFound."""
    row = await session.scalar(_LOCKED, {"request_id": request_id})
    if row is None:
        raise NotFound("request", request_id)
    return row


def days_of(row: RequestRow, subject: Subject) -> int | None:
    """How long what it grants holds: as it was asked, or as people shortened it."""
    asked = subject.days if isinstance(subject, GrantSubject) else None
    return min((days for days in (asked, row.granted_days) if days is not None), default=None)


def granted_in(row: RequestRow) -> Needs:
    """What of the needs was approved: all of it, where people took no part out."""
    return Needs.model_validate(row.needs if row.granted is None else row.granted)


async def decisions_of(session: AsyncSession, request_id: UUID) -> list[Decision]:
    """Oldest first."""
    rows = await session.scalars(_DECISIONS, {"request_id": request_id})
    return [_decision(row) for row in rows]


async def comments_of(session: AsyncSession, request_id: UUID) -> tuple[Comment, ...]:
    """Oldest first."""
    rows = await session.scalars(
        select(CommentRow)
        .where(CommentRow.request_id == request_id)
        .order_by(CommentRow.commented_at, CommentRow.line)
    )
    return tuple(
        Comment(
            id=CommentId(row.id),
            request_id=RequestId(row.request_id),
            author=row.author,
            text=row.text,
            line=row.line,
            digest=Digest(row.digest),
            round=row.round,
            decision_id=None if row.decision_id is None else DecisionId(row.decision_id),
            commented_at=row.commented_at,
        )
        for row in rows
    )


async def rounds_of(session: AsyncSession, request_id: UUID) -> tuple[Round, ...]:
    """Oldest first."""
    rows = await session.execute(
        select(RoundRow, VersionRow)
        .outerjoin(VersionRow, VersionRow.id == RoundRow.version_id)
        .where(RoundRow.request_id == request_id)
        .order_by(RoundRow.number)
    )
    return tuple(
        Round(
            number=row.number,
            digest=Digest(row.digest),
            version=find_version_of(version),
            notes=row.notes,
            opened_at=row.opened_at,
        )
        for row, version in rows
    )


def approvers(row: RequestRow, decided: Sequence[Decision]) -> str:
    """Names of those whose newest vote approves, in the order they decided."""
    votes = standing_votes(decided, row.round)
    return ", ".join(vote.reviewer for vote in votes if vote.verdict is Verdict.APPROVE)


async def probation_of(session: AsyncSession, request_id: UUID) -> ProbationTerms | None:
    """Every limit of the terms and of each approval that counts holds; ``None``: for good."""
    row = await session.get_one(RequestRow, request_id)
    votes = standing_votes(await decisions_of(session, request_id), row.round)
    chosen = [vote.probation for vote in votes if vote.verdict is Verdict.APPROVE]
    return strictest([ReviewTerms.model_validate(row.terms).probation, *chosen])


async def evidence_of(session: AsyncSession, request_id: UUID) -> list[Evidence]:
    """In the order of :class:`Check`."""
    rows = await session.scalars(_EVIDENCE, {"request_id": request_id})
    order = list(Check)
    return sorted(
        (
            Evidence(
                check=Check(row.check),
                digest=Digest(row.digest),
                status=Status(row.status),
                summary=row.summary,
                findings=tuple(Finding.model_validate(finding) for finding in row.findings),
                facts=row.facts,
                hosts=tuple(HostUse.model_validate(host) for host in row.hosts),
                runs=tuple(TrialRun.model_validate(run) for run in row.runs),
                checked_at=row.checked_at,
            )
            for row in rows
        ),
        key=lambda piece: order.index(piece.check),
    )


def subject_of(request_id: UUID) -> str:
    """How the audit log names a request."""
    return f"request:{request_id}"


def subject_in(row: RequestRow) -> Subject:
    return read_subject(row.subject)


def read_subject(stored: dict[str, Any]) -> Subject:
    return _SUBJECT.validate_python(stored)


def facts_in(row: RequestRow, decided: Iterable[Decision]) -> RequestFacts:
    """What the rules look at. ``decided``: all of the request, oldest first."""
    return RequestFacts(
        state=State(row.state),
        digest=Digest(row.digest),
        requester=row.requester,
        terms=ReviewTerms.model_validate(row.terms),
        authors=frozenset(row.authors),
        owners=frozenset(row.owners),
        escalated=row.escalated_at is not None,
        needs=Needs.model_validate(row.needs),
        grants_alone=Kind(row.kind).grants,
        voted=who_voted(decided, row.round),
    )


def _decision(row: DecisionRow) -> Decision:
    return Decision(
        id=DecisionId(row.id),
        request_id=RequestId(row.request_id),
        reviewer=row.reviewer,
        verdict=Verdict(row.verdict),
        reason=row.reason,
        seen_digest=Digest(row.seen_digest),
        channel=Channel(row.channel),
        probation=None if row.probation is None else ProbationTerms.model_validate(row.probation),
        decided_at=row.decided_at,
        granted_days=row.granted_days,
        refused=tuple(row.refused),
        break_glass=row.break_glass,
        round=row.round,
        on_behalf_of=row.on_behalf_of,
        retracted_at=row.retracted_at,
    )


def _requests() -> Select[RequestRow, str, str, int, int]:
    return (
        select(RequestRow, ServerRow.name, VersionRow.name, VersionRow.number, Released.number)
        .join(ServerRow, ServerRow.id == RequestRow.server_id)
        .outerjoin(VersionRow, VersionRow.id == RequestRow.version_id)
        .outerjoin(Released, Released.id == RequestRow.released_version_id)
    )


_SUMMARY = _requests().where(RequestRow.id == bindparam("request_id"))
_WITH_VERSIONS = _SUMMARY.add_columns(VersionRow, Released)


def _summary(
    row: RequestRow,
    server_name: str,
    tool_name: str | None,
    number: int | None,
    released_number: int | None,
) -> dict[str, Any]:
    return {
        "id": RequestId(row.id),
        "workflow_id": row.workflow_id,
        "kind": Kind(row.kind),
        "state": State(row.state),
        "state_reason": row.state_reason,
        "server_id": ServerId(row.server_id),
        "server_name": server_name,
        **_about(row, server_name, tool_name, number),
        "released_number": released_number,
        "digest": Digest(row.digest),
        "requester": row.requester,
        "notes": row.notes,
        "quorum": row.quorum,
        "risk": None if row.risk is None else Risk(row.risk),
        "round": row.round,
        "assignee": row.assignee,
        "review_afterwards": (
            None if row.review_afterwards is None else ReviewAfterwards(row.review_afterwards)
        ),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "expires_at": row.expires_at,
    }


def _about(
    row: RequestRow, server_name: str, tool_name: str | None, number: int | None
) -> dict[str, Any]:
    if row.tool_id is None or row.version_id is None or tool_name is None:
        subject = subject_in(row)
        return {
            "title": subject.title,
            "requirement": subject.requirement if isinstance(subject, ModuleSubject) else None,
            "access": subject.access if isinstance(subject, HostSubject) else None,
            "secret_name": subject.name if isinstance(subject, SecretSubject) else None,
            "secret_hosts": subject.hosts if isinstance(subject, SecretSubject) else (),
            "days": days_of(row, subject),
        }
    return {
        "days": row.granted_days,
        "title": callable_name(server_name, tool_name),
        "tool_id": ToolId(row.tool_id),
        "tool_name": tool_name,
        "version_id": VersionId(row.version_id),
        "version_number": number,
    }
