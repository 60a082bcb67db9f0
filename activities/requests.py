"""The projection of change requests. Every activity may run twice: ids come from the caller."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import final_domain_errors
from activities.judging import decide_by_rule, judge
from activities.telling import tell_of_request
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Refused
from mcpbox.domain.evidence import Check, Evidence, Risk, Status
from mcpbox.domain.ids import Digest
from mcpbox.domain.manifests import Needs
from mcpbox.domain.notices import Event
from mcpbox.domain.people import SYSTEM, Principal
from mcpbox.domain.requests import (
    Decision,
    State,
    Subject,
    Verdict,
    VersionSubject,
    requirements_in,
)
from mcpbox.policies.review import RequestFacts, may_decide, tally
from mcpbox.policies.risk import score_of
from mcpbox.store import evidence, people, requests, review_policies, secrets, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.grants import needs_of
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables import (
    DecisionRow,
    ReleaseRow,
    RequestRow,
    ToolRow,
    VersionRow,
)
from workflows.contracts import (
    CloseRequest,
    EvidenceLine,
    OpenedRequest,
    OpenRequest,
    PresentedRequest,
    PresentRequest,
    RecordDecision,
    RecordedDecision,
    RecordRefusal,
    RequestActivities,
)

_TELLING = (State.DENIED, State.CHANGES_REQUESTED)
"""Decisions that lead to nothing else which is told."""
_UNRESOLVED = (Status.FAILED, Status.MISSING)


class StoredRequests(RequestActivities):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def open_request(self, given: OpenRequest) -> OpenedRequest:
        draft, subject = given.draft, given.draft.subject
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                inserted = await session.scalar(
                    insert(RequestRow)
                    .values(
                        id=draft.id,
                        workflow_id=given.workflow_id,
                        kind=subject.kind,
                        state=State.GATHERING,
                        state_reason="",
                        server_id=subject.server_id,
                        subject=subject.model_dump(mode="json"),
                        **await _publication(session, subject),
                        digest=draft.digest,
                        requester=draft.requester,
                        notes=draft.notes,
                        quorum=draft.quorum,
                        needs=Needs().model_dump(mode="json"),
                        policy_version=await review_policies.current_version(session),
                        created_at=given.opened_at,
                        updated_at=given.opened_at,
                        expires_at=given.opened_at + draft.ttl,
                    )
                    .on_conflict_do_nothing()
                    .returning(RequestRow.id)
                )
                older = await requests.older_workflows(session, subject, besides=draft.id)
                if inserted is not None:
                    await announce(session, Topic.REQUESTS, draft.id)
                    await add_event(
                        session,
                        actor=draft.requester,
                        action=Action.REQUEST_OPENED,
                        subject=requests.subject_of(draft.id),
                        detail=f"{subject.label}, {draft.digest}",
                    )
        return OpenedRequest(older_workflow_ids=tuple(older))

    @activity.defn
    async def present_request(self, given: PresentRequest) -> PresentedRequest:
        """Judges the evidence and opens the request to people, or vetoes it; a rule may decide."""
        now = utc_now()
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                found = await self._complete_evidence(session, given)
                recorded = State(row.state)
                if recorded.terminal or recorded in (State.APPROVED, State.APPLYING):
                    # Reset by an operator: what was decided stays decided, and is applied once.
                    return _presented(row, found)
                needs = Needs()
                if row.version_id is not None:
                    needs = await needs_of(session, row.version_id, row.server_id)
                    brought = requirements_in(given.subject)
                    needs = needs.model_copy(
                        update={
                            "modules": tuple(one.module for one in brought),
                            "secrets": await _askable_secrets(session, row),
                        }
                    )
                else:
                    row.digest = _decided_about(found) or row.digest
                veto = await _veto(session, row, found)
                state = State.VETOED if veto else State.AWAITING_DECISION
                risk = score_of(found).level
                row.needs = needs.model_dump(mode="json")
                row.risk = risk
                row.state = state
                row.state_reason = veto
                row.updated_at = now
                terms, automatic = await judge(session, row, found, risk=risk, at=now)
                row.quorum = terms.approvals
                await announce(session, Topic.REQUESTS, given.request_id)
                await add_event(
                    session,
                    actor=SYSTEM.label,
                    action=Action.REQUEST_PRESENTED,
                    subject=requests.subject_of(given.request_id),
                    detail=f"{state}, risk {risk}",
                )
                if not veto:
                    await decide_by_rule(session, row, found, automatic, at=now)
                if row.state == State.AWAITING_DECISION:
                    await tell_of_request(session, row, Event.REQUEST_WAITING)
                return _presented(row, found)

    @activity.defn
    async def record_decision(self, given: RecordDecision) -> RecordedDecision:
        """Asks the one rule with the reviewer's roles as they are now."""
        draft = given.draft
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                decided = await requests.decisions_of(session, given.request_id)
                if any(decision.id == draft.id for decision in decided):
                    return RecordedDecision(state=State(row.state), state_reason=row.state_reason)
                reviewer = await _reviewer(session, given.reviewer)
                may_decide(_facts(row), reviewer, draft).require()
                session.add(_decision_row(given))
                row.state = tally(_newest_votes(decided, given.reviewer, draft.verdict), row.quorum)
                row.state_reason = draft.reason
                row.updated_at = given.decided_at
                await session.flush()
                await announce(session, Topic.REQUESTS, given.request_id)
                if State(row.state) in _TELLING:
                    await tell_of_request(session, row, Event.REQUEST_DECIDED)
                await add_event(
                    session,
                    actor=reviewer.label,
                    action=Action.DECISION_ADDED,
                    subject=requests.subject_of(given.request_id),
                    detail=f"{draft.verdict}: {draft.reason}" if draft.reason else draft.verdict,
                    facts={"channel": given.channel, "digest": draft.seen_digest},
                )
                return RecordedDecision(state=State(row.state), state_reason=row.state_reason)

    @activity.defn
    async def record_refusal(self, given: RecordRefusal) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                await announce(session, Topic.REQUESTS, given.request_id)
                await add_event(
                    session,
                    actor=f"person:{given.reviewer}",
                    action=Action.DECISION_REFUSED,
                    subject=requests.subject_of(given.request_id),
                    detail=given.reason,
                    facts={"channel": "temporal"},
                )

    @activity.defn
    async def close_request(self, given: CloseRequest) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                if State(row.state).terminal:
                    # Written by an earlier try, or by the request itself: it stays (I2).
                    return
                row.state = given.state
                row.state_reason = given.state_reason
                row.updated_at = utc_now()
                await announce(session, Topic.REQUESTS, given.request_id)
                if given.state is State.APPLY_FAILED:
                    await tell_of_request(session, row, Event.REQUEST_FAILED)
                await add_event(
                    session,
                    actor=given.actor,
                    action=Action.REQUEST_CLOSED,
                    subject=requests.subject_of(given.request_id),
                    detail=f"{given.state}: {given.state_reason}",
                )

    async def _complete_evidence(
        self, session: AsyncSession, given: PresentRequest
    ) -> list[Evidence]:
        found = await requests.evidence_of(session, given.request_id)
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


def _presented(row: RequestRow, found: list[Evidence]) -> PresentedRequest:
    return PresentedRequest(
        state=State(row.state),
        state_reason=row.state_reason,
        digest=Digest(row.digest),
        risk=Risk(row.risk) if row.risk else Risk.HIGH,
        evidence=tuple(
            EvidenceLine(check=p.check, status=p.status, summary=p.summary) for p in found
        ),
    )


def _facts(row: RequestRow) -> RequestFacts:
    return RequestFacts.model_validate(
        {"state": row.state, "digest": row.digest, "requester": row.requester}
    )


async def _reviewer(session: AsyncSession, username: str) -> Principal:
    reviewer = await people.find_reviewer(session, username)
    if reviewer is None:
        raise Refused(f"{username[:80]!r} is not the name of an active person.")
    return reviewer


def _newest_votes(decided: list[Decision], reviewer: str, verdict: Verdict) -> list[Verdict]:
    votes = {decision.reviewer: decision.verdict for decision in decided}
    return list((votes | {reviewer: verdict}).values())


def _decision_row(given: RecordDecision) -> DecisionRow:
    draft = given.draft
    return DecisionRow(
        request_id=given.request_id,
        id=draft.id,
        reviewer=given.reviewer,
        verdict=draft.verdict,
        reason=draft.reason,
        seen_digest=draft.seen_digest,
        channel=given.channel,
        probation=None if draft.probation is None else draft.probation.model_dump(mode="json"),
        decided_at=given.decided_at,
    )


async def _publication(session: AsyncSession, subject: Subject) -> dict[str, object]:
    """Columns that only a request about a version fills. Raises: NotFound."""
    if not isinstance(subject, VersionSubject):
        return {}
    await tools.get_version(session, subject.version_id)
    released = await session.scalar(
        select(ReleaseRow.version_id).where(
            ReleaseRow.tool_id == subject.tool_id, ReleaseRow.active_to.is_(None)
        )
    )
    return {
        "tool_id": subject.tool_id,
        "version_id": subject.version_id,
        "released_version_id": released,
    }


async def _askable_secrets(session: AsyncSession, row: RequestRow) -> tuple[str, ...]:
    version = await session.get_one(VersionRow, row.version_id)
    manifest = tools.content_of(version).manifest
    return await secrets.askable(session, row.server_id, manifest.secret_names)


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
