"""The projection of change requests. Every activity may run twice: ids come from the caller."""

from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import final_domain_errors
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import Conflict, Refused
from mcpbox.domain.evidence import Evidence, Status
from mcpbox.domain.manifests import Manifest, Needs, needs_beyond
from mcpbox.domain.people import SYSTEM, Principal
from mcpbox.domain.requests import Decision, State, Verdict
from mcpbox.policies.review import RequestFacts, may_decide, tally
from mcpbox.policies.risk import risk_of
from mcpbox.store import evidence, people, requests, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.grants import grant_hosts, granted_hosts
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables import (
    DecisionRow,
    ReleaseRow,
    RequestRow,
    ServerRow,
    ToolRow,
    VersionRow,
)
from workflows.contracts import (
    ApplyRequest,
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


class StoredRequests(RequestActivities):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def open_request(self, given: OpenRequest) -> OpenedRequest:
        draft, subject = given.draft, given.draft.subject
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                version = await tools.get_version(session, subject.version_id)
                released = await _released_version_id(session, subject.tool_id)
                inserted = await session.scalar(
                    insert(RequestRow)
                    .values(
                        id=draft.id,
                        workflow_id=given.workflow_id,
                        kind=subject.kind,
                        state=State.GATHERING,
                        state_reason="",
                        server_id=subject.server_id,
                        tool_id=subject.tool_id,
                        version_id=subject.version_id,
                        released_version_id=released,
                        digest=draft.digest,
                        requester=draft.requester,
                        notes=draft.notes,
                        quorum=draft.quorum,
                        needs=Needs().model_dump(mode="json"),
                        created_at=given.opened_at,
                        updated_at=given.opened_at,
                        expires_at=given.opened_at + draft.ttl,
                    )
                    .on_conflict_do_nothing()
                    .returning(RequestRow.id)
                )
                older = await requests.open_workflows(session, subject.tool_id, besides=draft.id)
                if inserted is not None:
                    await announce(session, Topic.REQUESTS, draft.id)
                    await add_event(
                        session,
                        actor=draft.requester,
                        action=Action.REQUEST_OPENED,
                        subject=requests.subject_of(draft.id),
                        detail=f"{subject.label}, {version.digest}",
                    )
        return OpenedRequest(older_workflow_ids=tuple(older))

    @activity.defn
    async def present_request(self, given: PresentRequest) -> PresentedRequest:
        """Judges the evidence and opens the request to people, or vetoes it."""
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                found = await self._complete_evidence(session, given)
                needs = await _needs_of(session, row)
                veto = await _veto(session, row, found)
                state = State.VETOED if veto else State.AWAITING_DECISION
                risk = risk_of(found, needs)
                row.needs = needs.model_dump(mode="json")
                row.risk = risk
                row.state = state
                row.state_reason = veto
                row.updated_at = utc_now()
                await announce(session, Topic.REQUESTS, given.request_id)
                await add_event(
                    session,
                    actor=SYSTEM.label,
                    action=Action.REQUEST_PRESENTED,
                    subject=requests.subject_of(given.request_id),
                    detail=f"{state}, risk {risk}",
                )
                return PresentedRequest(
                    state=state,
                    state_reason=row.state_reason,
                    risk=risk,
                    evidence=tuple(
                        EvidenceLine(check=p.check, status=p.status, summary=p.summary)
                        for p in found
                    ),
                )

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
    async def apply_publish(self, given: ApplyRequest) -> None:
        """Releases exactly what was approved, or nothing (I5).

        Raises: ApplicationError: not retried: it is no longer what was approved.
        """
        now = utc_now()
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                if row.state == State.APPLIED:
                    return
                version = await _still_as_approved(session, row, given)
                approver = await _approver(session, row)
                await grant_hosts(
                    session,
                    given.subject.server_id,
                    Needs.model_validate(row.needs).hosts,
                    request_id=given.request_id,
                    granted_by=approver,
                    at=now,
                )
                await session.execute(
                    update(ReleaseRow)
                    .where(ReleaseRow.tool_id == row.tool_id, ReleaseRow.active_to.is_(None))
                    .values(active_to=now)
                )
                session.add(
                    ReleaseRow(
                        id=uuid4(),
                        tool_id=row.tool_id,
                        version_id=version.id,
                        request_id=given.request_id,
                        digest=row.digest,
                        approved_by=approver,
                        active_from=now,
                    )
                )
                row.state = State.APPLIED
                row.updated_at = now
                await session.flush()
                await announce(session, Topic.CATALOG, row.tool_id)
                await announce(session, Topic.REQUESTS, given.request_id)
                await add_event(
                    session,
                    actor=SYSTEM.label,
                    action=Action.REQUEST_APPLIED,
                    subject=requests.subject_of(given.request_id),
                    detail=given.subject.label,
                    facts={"digest": row.digest, "hosts": list(row.needs.get("hosts", ()))},
                )

    @activity.defn
    async def close_request(self, given: CloseRequest) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                if row.state == given.state and row.state_reason == given.state_reason:
                    # A veto is written when it is found; a repeated close writes nothing new.
                    return
                row.state = given.state
                row.state_reason = given.state_reason
                row.updated_at = utc_now()
                await announce(session, Topic.REQUESTS, given.request_id)
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
        decided_at=given.decided_at,
    )


async def _released_version_id(session: AsyncSession, tool_id: object) -> object | None:
    return await session.scalar(
        select(ReleaseRow.version_id).where(
            ReleaseRow.tool_id == tool_id, ReleaseRow.active_to.is_(None)
        )
    )


async def _needs_of(session: AsyncSession, row: RequestRow) -> Needs:
    version = await session.get_one(VersionRow, row.version_id)
    granted = await granted_hosts(session, row.server_id)
    return needs_beyond(Manifest.model_validate(version.manifest), granted)


async def _veto(session: AsyncSession, row: RequestRow, found: list[Evidence]) -> str:
    """Why people need not be bothered with it; empty when they do."""
    tool = await session.get_one(ToolRow, row.tool_id)
    if tool.deleted_at is not None:
        return "The tool was deleted before anybody could decide."
    failed = (p for p in found if p.status is Status.FAILED and p.check.vetoes)
    return next((piece.summary for piece in failed), "")


async def _approver(session: AsyncSession, row: RequestRow) -> str:
    """Names of those whose newest vote approves, in the order they decided."""
    votes = {d.reviewer: d.verdict for d in await requests.decisions_of(session, row.id)}
    return ", ".join(name for name, verdict in votes.items() if verdict is Verdict.APPROVE)


async def _still_as_approved(
    session: AsyncSession, row: RequestRow, given: ApplyRequest
) -> VersionRow:
    """Raises: Conflict: approved once, but no longer what people saw."""
    server = await session.get_one(ServerRow, row.server_id, with_for_update=True)
    tool = await session.get_one(ToolRow, row.tool_id, with_for_update=True)
    version = await session.get_one(VersionRow, row.version_id)
    if row.state != State.APPROVED:
        raise Conflict(f"The request is {row.state}, not approved; nothing was released.")
    if tool.deleted_at is not None:
        raise Conflict("The tool was deleted meanwhile; nothing was released.")
    if not digest_of(tools.content_of(version)) == row.digest == given.digest:
        raise Conflict(
            "The version is not what was approved: its digest differs; nothing was released."
        )
    if set((await _needs_of(session, row)).hosts) - set(Needs.model_validate(row.needs).hosts):
        raise Conflict(
            "Hosts that were granted when people decided no longer are; ask again to have them "
            "reviewed. Nothing was released."
        )
    await _require_free_name(session, server, tool, version)
    return version


async def _require_free_name(
    session: AsyncSession, server: ServerRow, tool: ToolRow, version: VersionRow
) -> None:
    taken = await session.scalar(
        select(ToolRow.id)
        .join(ReleaseRow, ReleaseRow.tool_id == ToolRow.id)
        .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
        .where(
            ToolRow.server_id == server.id,
            ToolRow.id != tool.id,
            ToolRow.deleted_at.is_(None),
            ReleaseRow.active_to.is_(None),
            VersionRow.name == version.name,
        )
    )
    if taken is not None:
        raise Conflict(
            f"Another tool of {server.name!r} is released as {version.name!r}; nothing was "
            "released."
        )
