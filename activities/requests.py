"""The projection of change requests. Every activity may run twice: ids come from the caller."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import final_domain_errors
from activities.judging import decide_by_rule, judge
from activities.telling import tell_of_request
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Conflict, Refused
from mcpbox.domain.evidence import Check, Evidence, Risk, Status
from mcpbox.domain.ids import Digest, RequestId
from mcpbox.domain.manifests import Needs
from mcpbox.domain.notices import Event
from mcpbox.domain.people import SYSTEM, Principal, PrincipalKind
from mcpbox.domain.requests import (
    Decision,
    ReviewAfterwards,
    State,
    Subject,
    VersionSubject,
    requirements_in,
)
from mcpbox.domain.review import ReviewTerms
from mcpbox.policies.review import (
    RequestFacts,
    in_whose_right,
    may_decide,
    may_retract,
    standing_votes,
    tally,
    who_voted,
)
from mcpbox.policies.risk import score_of
from mcpbox.store import (
    clients,
    evidence,
    people,
    requests,
    review_policies,
    secrets,
    tools,
)
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.grants import needs_of
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables import (
    CommentRow,
    DecisionRow,
    EvidenceRow,
    ReleaseRow,
    RequestRow,
    RoundRow,
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
    RecordRefusal,
    RecordRetraction,
    RecordRevision,
    Remind,
    RequestActivities,
    Standing,
)

_TELLING = (State.DENIED, State.CHANGES_REQUESTED)
"""Decisions that lead to nothing else which is told."""
_CLIENT = PrincipalKind.CLIENT.value
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
                        **await _people_behind(session, subject, draft.requester),
                        created_at=given.opened_at,
                        updated_at=given.opened_at,
                        expires_at=given.opened_at + draft.ttl,
                    )
                    .on_conflict_do_nothing()
                    .returning(RequestRow.id)
                )
                older = await requests.older_workflows(session, subject, besides=draft.id)
                if inserted is not None:
                    session.add(_round_row(draft.id, 1, draft, given.opened_at))
                    await session.flush()
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
                row.terms = terms.model_dump(mode="json")
                row.quorum = terms.approvals
                row.expires_at = row.created_at + terms.ttl
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
    async def record_decision(self, given: RecordDecision) -> Standing:
        """Asks the one rule with the reviewer's roles as they are now."""
        draft = given.draft
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                decided = await requests.decisions_of(session, given.request_id)
                if any(decision.id == draft.id for decision in decided):
                    return _standing(row)
                reviewer = await _reviewer(session, given.reviewer)
                facts = _facts(row, decided)
                may_decide(facts, reviewer, draft, given.channel).require()
                decision = _decision(given, row.round, in_whose_right(facts, reviewer))
                _keep_decision(session, decision)
                votes = standing_votes([*decided, decision], row.round)
                row.state = _state_after(votes, row.quorum)
                row.state_reason = draft.reason
                row.granted = _granted(facts.needs, votes) if row.state == State.APPROVED else None
                row.updated_at = given.decided_at
                if draft.break_glass:
                    row.review_afterwards = ReviewAfterwards.OPEN
                await session.flush()
                await announce(session, Topic.REQUESTS, given.request_id)
                if State(row.state) in _TELLING:
                    await tell_of_request(session, row, Event.REQUEST_DECIDED)
                await _tell_of_decision(session, decision, reviewer)
                return _standing(row)

    @activity.defn
    async def record_retraction(self, given: RecordRetraction) -> Standing:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                decided = await requests.decisions_of(session, given.request_id)
                if any(_is_retracted_by(decision, given) for decision in decided):
                    return _standing(row)
                reviewer = await _reviewer(session, given.reviewer)
                may_retract(_facts(row, decided), reviewer).require()
                votes = standing_votes(decided, row.round)
                if all(vote.reviewer != given.reviewer for vote in votes):
                    raise Conflict("You have no vote on this request that counts.")
                await session.execute(
                    update(DecisionRow)
                    .where(
                        DecisionRow.request_id == given.request_id,
                        DecisionRow.reviewer == given.reviewer,
                        DecisionRow.round == row.round,
                        DecisionRow.retracted_at.is_(None),
                    )
                    .values(retracted_at=given.retracted_at)
                )
                votes = [vote for vote in votes if vote.reviewer != given.reviewer]
                row.state = _state_after(votes, row.quorum)
                row.state_reason = votes[-1].reason if votes else ""
                row.granted = (
                    _granted(Needs.model_validate(row.needs), votes)
                    if row.state == State.APPROVED
                    else None
                )
                row.updated_at = given.retracted_at
                await announce(session, Topic.REQUESTS, given.request_id)
                await add_event(
                    session,
                    actor=reviewer.label,
                    action=Action.DECISION_RETRACTED,
                    subject=requests.subject_of(given.request_id),
                    facts={"channel": given.channel},
                )
                return _standing(row)

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
                session.add(_round_row(given.request_id, given.round, given, given.revised_at))
                row.round = given.round
                row.subject = subject.model_dump(mode="json")
                for name, value in (await _publication(session, subject)).items():
                    setattr(row, name, value)
                behind = await _people_behind(session, subject, row.requester)
                row.authors, row.owners = behind["authors"], behind["owners"]
                row.digest = given.digest
                row.notes = given.notes or row.notes
                row.state = State.GATHERING
                row.state_reason = ""
                row.risk = None
                row.granted = None
                row.updated_at = given.revised_at
                await session.flush()
                await announce(session, Topic.REQUESTS, given.request_id)
                await add_event(
                    session,
                    actor=given.by,
                    action=Action.REQUEST_REVISED,
                    subject=requests.subject_of(given.request_id),
                    detail=f"round {given.round}: {subject.label}, {given.digest}",
                )

    @activity.defn
    async def remind(self, given: Remind) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                if given.escalate_to and row.escalated_at is None:
                    row.escalated_at = given.due_at
                await announce(session, Topic.REQUESTS, given.request_id)
                await add_event(
                    session,
                    actor=SYSTEM.label,
                    action=(
                        Action.REQUEST_ESCALATED if given.escalate_to else Action.REQUEST_REMINDED
                    ),
                    subject=requests.subject_of(given.request_id),
                    detail=(
                        f"to {', '.join(given.escalate_to)}"
                        if given.escalate_to
                        else f"reminder {given.number}"
                    ),
                )

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
    async def close_request(self, given: CloseRequest) -> Standing:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                if State(row.state).terminal:
                    # Written by an earlier try, or by the request itself: it stays (I2).
                    return _standing(row)
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
                return _standing(row)

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
        terms=ReviewTerms.model_validate(row.terms),
        authors=frozenset(row.authors),
        owners=frozenset(row.owners),
        needs=Needs.model_validate(row.needs),
    )


def _standing(row: RequestRow) -> Standing:
    return Standing(state=State(row.state), state_reason=row.state_reason)


def _facts(row: RequestRow, decided: Iterable[Decision]) -> RequestFacts:
    return RequestFacts(
        state=State(row.state),
        digest=Digest(row.digest),
        requester=row.requester,
        terms=ReviewTerms.model_validate(row.terms),
        authors=frozenset(row.authors),
        owners=frozenset(row.owners),
        escalated=row.escalated_at is not None,
        needs=Needs.model_validate(row.needs),
        voted=who_voted(decided, row.round),
    )


async def _reviewer(session: AsyncSession, username: str) -> Principal:
    reviewer = await people.find_reviewer(session, username)
    if reviewer is None:
        raise Refused(f"{username[:80]!r} is not the name of an active person.")
    return reviewer


def _state_after(votes: Sequence[Decision], quorum: int) -> State:
    if votes and votes[-1].break_glass:
        return State.APPROVED
    return tally((vote.verdict for vote in votes), quorum)


def _granted(needs: Needs, votes: Iterable[Decision]) -> dict[str, Any] | None:
    """What is left of the needs; ``None`` when nobody refused any of it."""
    refused = {item for vote in votes for item in vote.refused}
    return needs.without(refused).model_dump(mode="json") if refused else None


def _is_retracted_by(decision: Decision, given: RecordRetraction) -> bool:
    return decision.reviewer == given.reviewer and decision.retracted_at == given.retracted_at


def _decision(given: RecordDecision, round_number: int, right_of: str | None) -> Decision:
    return Decision(
        **given.draft.model_dump(),
        request_id=given.request_id,
        reviewer=given.reviewer,
        channel=given.channel,
        decided_at=given.decided_at,
        round=round_number,
        on_behalf_of=None if right_of == given.reviewer else right_of,
    )


def _keep_decision(session: AsyncSession, decision: Decision) -> None:
    values = decision.model_dump(exclude={"comments", "refused", "probation"})
    limits = decision.probation
    session.add(
        DecisionRow(
            **values,
            refused=list(decision.refused),
            probation=None if limits is None else limits.model_dump(mode="json"),
        )
    )
    session.add_all(
        CommentRow(
            id=uuid4(),
            request_id=decision.request_id,
            author=f"{PrincipalKind.PERSON}:{decision.reviewer}",
            text=comment.text,
            line=comment.line,
            digest=decision.seen_digest,
            round=decision.round,
            decision_id=decision.id,
            commented_at=decision.decided_at,
        )
        for comment in decision.comments
    )


async def _tell_of_decision(session: AsyncSession, decision: Decision, reviewer: Principal) -> None:
    told = f"{decision.verdict}: {decision.reason}" if decision.reason else str(decision.verdict)
    if decision.on_behalf_of:
        told = f"for {decision.on_behalf_of}, {told}"
    if decision.refused:
        told = f"{told} (without {', '.join(decision.refused)})"
    forced = Action.REQUEST_BREAK_GLASS
    await add_event(
        session,
        actor=reviewer.label,
        action=forced if decision.break_glass else Action.DECISION_ADDED,
        subject=requests.subject_of(decision.request_id),
        detail=told,
        facts={"channel": decision.channel, "digest": decision.seen_digest},
    )


class _Asked(Protocol):
    """What a round begins with."""

    @property
    def subject(self) -> Subject: ...
    @property
    def digest(self) -> Digest: ...
    @property
    def notes(self) -> str: ...


def _round_row(request_id: RequestId, number: int, asked: _Asked, opened_at: datetime) -> RoundRow:
    subject = asked.subject
    return RoundRow(
        request_id=request_id,
        number=number,
        version_id=subject.version_id if isinstance(subject, VersionSubject) else None,
        digest=asked.digest,
        notes=asked.notes,
        opened_at=opened_at,
        evidence=[],
    )


async def _people_behind(
    session: AsyncSession, subject: Subject, requester: str
) -> dict[str, list[str]]:
    """Who made the request or wrote its version, and whose clients these are."""
    authors = {requester}
    if isinstance(subject, VersionSubject):
        authors.add((await tools.get_version(session, subject.version_id)).author)
    names = [
        name for kind, _, name in (label.partition(":") for label in authors) if kind == _CLIENT
    ]
    owners = await clients.owners_of(session, names)
    return {"authors": sorted(authors), "owners": sorted(owners)}


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
