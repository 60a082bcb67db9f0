"""Rounds of a request: each begins with what is asked, and is judged before people see it."""

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import final_domain_errors
from activities.judging import decide_by_rule, judge
from activities.telling import tell_of_request
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.evidence import Check, Evidence, Risk, Status
from mcpbox.domain.ids import Digest
from mcpbox.domain.manifests import Manifest, Needs, ungranted_hosts
from mcpbox.domain.notices import Event
from mcpbox.domain.people import SYSTEM, PrincipalKind
from mcpbox.domain.requests import State
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.subjects import Subject, VersionSubject, requirements_in
from mcpbox.policies.risk import score_of
from mcpbox.store import clients, evidence, requests, secrets, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.grants import Holder, get_holder
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.evidence import EvidenceRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.requests import RequestRow, RoundRow
from mcpbox.store.tables.tools import ToolRow, VersionRow
from workflows.contracts import (
    EvidenceLine,
    PresentedRequest,
    PresentRequest,
    RecordRevision,
    RoundActivities,
)

_CLIENT = PrincipalKind.CLIENT.value
_UNRESOLVED = (Status.FAILED, Status.MISSING)


class StoredRounds(RoundActivities):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def present_request(self, given: PresentRequest) -> PresentedRequest:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                found = await requests.evidence_of(session, given.request_id)
                holder = await get_holder(session, row.server_id)
                return await present(session, row, given, found, holder)

    @activity.defn
    async def record_revision(self, given: RecordRevision) -> None:
        subject = given.subject
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                if row.round >= given.round:
                    return
                over = await session.get_one(RoundRow, (row.id, row.round))
                found = await requests.evidence_of(session, row.id)
                over.evidence = [piece.model_dump(mode="json") for piece in found]
                await session.execute(delete(EvidenceRow).where(EvidenceRow.request_id == row.id))
                session.add(_revised_round(given))
                row.round = given.round
                row.subject = subject.model_dump(mode="json")
                for name, value in (await publication_of(session, subject)).items():
                    setattr(row, name, value)
                row.authors = await authors_of(session, subject, row.requester)
                row.owners = await clients.owners_of(session, clients_in(row.authors))
                row.digest = given.digest
                row.notes = given.notes or row.notes
                row.state = State.GATHERING
                row.state_reason = ""
                row.risk = None
                row.granted = row.granted_days = None
                row.updated_at = given.revised_at
                await session.flush()
                announce(session, Topic.REQUESTS, given.request_id)
                add_event(
                    session,
                    actor=given.by,
                    action=Action.REQUEST_REVISED,
                    subject=requests.subject_of(given.request_id),
                    detail=f"round {given.round}: {subject.label}, {given.digest}",
                )


async def present(
    session: AsyncSession,
    row: RequestRow,
    given: PresentRequest,
    found: list[Evidence],
    holder: Holder,
) -> PresentedRequest:
    """Judges what was found and opens the request, its row locked, to people, or vetoes it.

    A rule may decide it.
    """
    now = utc_now()
    found = await _complete_evidence(session, given, found)
    recorded = State(row.state)
    if recorded.terminal or recorded in (State.APPROVED, State.APPLYING):
        # Reset by an operator: what was decided stays decided, and is applied once.
        return _presented(row, found)
    needs = Needs()
    if row.version_id is not None:
        needs = await _needs_of(session, row, given.subject, holder)
    else:
        row.digest = _decided_about(found) or row.digest
    veto = await _veto(session, row, found)
    state, reason = State.VETOED if veto else State.AWAITING_DECISION, veto
    if recorded is State.CHANGES_REQUESTED and not veto:
        # Reset likewise: the vote that led there still counts.
        state, reason = recorded, row.state_reason
    risk = score_of(found).level
    row.needs = needs.model_dump(mode="json")
    row.risk = risk
    row.state = state
    row.state_reason = reason
    row.updated_at = now
    terms, automatic = await judge(session, row, found, holder, risk=risk, at=now)
    terms = given.terms or terms
    row.terms = terms.model_dump(mode="json")
    row.quorum = terms.approvals
    row.expires_at = row.created_at + terms.ttl
    announce(session, Topic.REQUESTS, given.request_id)
    add_event(
        session,
        actor=SYSTEM.label,
        action=Action.REQUEST_PRESENTED,
        subject=requests.subject_of(given.request_id),
        detail=f"{state}, risk {risk}",
    )
    if not veto:
        again = recorded is not State.GATHERING
        await decide_by_rule(session, row, found, automatic, again=again, at=now)
    if row.state == State.AWAITING_DECISION:
        await tell_of_request(session, row, Event.REQUEST_WAITING)
    return _presented(row, found)


async def _complete_evidence(
    session: AsyncSession, given: PresentRequest, found: list[Evidence]
) -> list[Evidence]:
    missing = set(given.expected) - {piece.check for piece in found}
    for check in missing:
        await evidence.keep(
            session,
            given.request_id,
            Evidence(
                check=check,
                digest=given.digest,
                status=Status.MISSING,
                summary="The check could not be run; this says nothing about the code.",
                checked_at=utc_now(),
            ),
        )
    return await requests.evidence_of(session, given.request_id) if missing else found


def _revised_round(given: RecordRevision) -> RoundRow:
    subject = given.subject
    return RoundRow(
        request_id=given.request_id,
        number=given.round,
        version_id=subject.version_id if isinstance(subject, VersionSubject) else None,
        digest=given.digest,
        notes=given.notes,
        opened_at=given.revised_at,
        evidence=[],
    )


async def authors_of(session: AsyncSession, subject: Subject, requester: str) -> list[str]:
    """Labels, sorted, of who made the request and who wrote its version."""
    authors = {requester}
    if isinstance(subject, VersionSubject):
        authors.add((await tools.get_version(session, subject.version_id)).author)
    return sorted(authors)


def clients_in(labels: Iterable[str]) -> list[str]:
    """Names of those that are clients."""
    parts = (label.partition(":") for label in labels)
    return [name for kind, _, name in parts if kind == _CLIENT]


async def publication_of(session: AsyncSession, subject: Subject) -> dict[str, object]:
    """Columns that only a request about a version fills. Raises: NotFound."""
    if not isinstance(subject, VersionSubject):
        return {"tool_id": None, "version_id": None, "released_version_id": None}
    version = await tools.get_version(session, subject.version_id)
    releases = select(ReleaseRow.version_id).where(ReleaseRow.tool_id == subject.tool_id)
    released = await session.scalar(releases.where(ReleaseRow.active_to.is_(None)))
    if released is None and version.passes_to is not None:
        # Withdrawn when its source changed it: people compare with what they approved.
        released = await session.scalar(releases.order_by(ReleaseRow.active_from.desc()).limit(1))
    return {
        "tool_id": subject.tool_id,
        "version_id": subject.version_id,
        "released_version_id": released,
    }


def _presented(row: RequestRow, found: list[Evidence]) -> PresentedRequest:
    return PresentedRequest(
        state=State(row.state),
        state_reason=row.state_reason,
        digest=Digest(row.digest),
        risk=Risk(row.risk) if row.risk else Risk.HIGH,
        evidence=tuple(
            EvidenceLine(check=p.check, status=p.status, summary=p.summary) for p in found
        ),
        terms=ReviewTerms.model_validate(row.terms),
        authors=frozenset(row.authors),
        owners=frozenset(row.owners),
        needs=Needs.model_validate(row.needs),
    )


async def _needs_of(
    session: AsyncSession, row: RequestRow, subject: Subject, holder: Holder
) -> Needs:
    """What the version needs and its server may not use yet, or what is asked for with it."""
    version = await session.get_one(VersionRow, row.version_id)
    manifest = Manifest.model_validate(version.manifest)
    return Needs(
        hosts=ungranted_hosts(manifest, holder.granted.hosts),
        modules=tuple(one.module for one in requirements_in(subject)),
        secrets=await secrets.askable(session, row.server_id, manifest.secret_names),
    )


def _decided_about(found: list[Evidence]) -> str | None:
    """The digest of the packages, where they are resolved; else what was asked."""
    resolved = (p for p in found if p.check is Check.PACKAGES and p.status not in _UNRESOLVED)
    return next((piece.digest for piece in resolved), None)


async def _veto(session: AsyncSession, row: RequestRow, found: list[Evidence]) -> str:
    """Why people need not be bothered with it; empty when they do."""
    if row.tool_id is not None:
        tool = await session.get_one(ToolRow, row.tool_id)
        if tool.deleted_at is not None:
            return "The tool was deleted before anybody could decide."
    if any(p.check is Check.PACKAGES and p.status is Status.MISSING for p in found):
        return "Which packages it takes could not be found out in time; ask again later."
    failed = (p for p in found if p.status is Status.FAILED and p.check.vetoes)
    return next((piece.summary for piece in failed), "")
