"""The projection of change requests. Every activity may run twice: ids come from the caller."""

from collections.abc import Awaitable, Callable, Mapping

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.decisions import standing_of
from activities.errors import final_domain_errors
from activities.rounds import authors_of, clients_in, present, publication_of
from activities.telling import tell_of_request
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.evidence import Evidence
from mcpbox.domain.ids import Digest, RequestId
from mcpbox.domain.manifests import Granted, Needs
from mcpbox.domain.notices import Event
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import Kind
from mcpbox.store import asked_before, requests
from mcpbox.store.audit import add_event, is_told
from mcpbox.store.changes import Topic, announce
from mcpbox.store.grants import get_holder
from mcpbox.store.new_requests import add_request
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.requests import RequestRow
from workflows.contracts import (
    CloseRequest,
    Examination,
    LookUp,
    OpenedRequest,
    OpenRequest,
    PresentedRequest,
    PresentRequest,
    RecordRefusal,
    Remind,
    RequestActivities,
    RevisedRequest,
    Standing,
    Successor,
)

Examiners = Mapping[Kind, Callable[[AsyncSession, Examination, Granted], Awaitable[Evidence]]]
"""Of the kinds whose evidence takes no more than a look into the database."""


class StoredRequests(RequestActivities):
    def __init__(self, sessions: Sessions, examiners: Examiners) -> None:
        self._sessions = sessions
        self._examiners = examiners

    @activity.defn
    async def open_request(self, given: OpenRequest) -> OpenedRequest:
        """What a look into the database shows is presented with it, or left for later."""
        with final_domain_errors():
            try:
                async with transaction(self._sessions) as session:
                    return await self._open(session, given, given.presenting)
            except _CannotPresentError:
                async with transaction(self._sessions) as session:
                    return await self._open(session, given, None)

    async def _open(
        self, session: AsyncSession, given: OpenRequest, presenting: PresentRequest | None
    ) -> OpenedRequest:
        draft, subject = given.draft, given.draft.subject
        row = await _insert(session, given)
        older = await asked_before.older_workflows(session, subject, besides=draft.id)
        if row is None:
            revised = await _revised(session, draft.id)
            return OpenedRequest(older_workflow_ids=tuple(older), revised=revised)
        announce(session, Topic.REQUESTS, draft.id)
        add_event(
            session,
            actor=draft.requester,
            action=Action.REQUEST_OPENED,
            subject=requests.subject_of(draft.id),
            detail=f"{subject.label}, {draft.digest}",
        )
        presented = presenting and await self._present(session, row, presenting)
        return OpenedRequest(older_workflow_ids=tuple(older), presented=presented)

    async def _present(
        self, session: AsyncSession, row: RequestRow, given: PresentRequest
    ) -> PresentedRequest:
        """Raises: _CannotPresentError: all of it is taken back, with the request."""
        try:
            with session.no_autoflush:  # the request is written once, as presented
                holder = await get_holder(session, row.server_id)
                found = await self._examiners[given.subject.kind](session, given, holder.granted)
                return await present(session, row, given, [found], holder)
        except Exception as error:  # whatever it is: what was asked is not lost by it
            raise _CannotPresentError from error

    @activity.defn
    async def remind(self, given: Remind) -> None:
        action = Action.REQUEST_ESCALATED if given.escalate_to else Action.REQUEST_REMINDED
        subject = requests.subject_of(given.request_id)
        due = {"due_at": given.due_at.isoformat()}
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                decided = not State(row.state).decidable
                if decided or await is_told(session, action, subject, due):
                    return
                if given.escalate_to:
                    row.escalated_at = given.due_at
                announce(session, Topic.REQUESTS, given.request_id)
                if given.escalate_to:
                    event, to = Event.REQUEST_ESCALATED, given.escalate_to
                    await tell_of_request(session, row, event, to=to)
                else:
                    event, number = Event.REQUEST_REMINDED, given.number
                    await tell_of_request(session, row, event, number=number)
                add_event(
                    session,
                    actor=SYSTEM.label,
                    action=action,
                    subject=subject,
                    detail=(
                        f"to {', '.join(given.escalate_to)}"
                        if given.escalate_to
                        else f"reminder {given.number}"
                    ),
                    facts=due,
                )

    @activity.defn
    async def record_refusal(self, given: RecordRefusal) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                if given.unless_decided is not None:
                    decided = await requests.decisions_of(session, given.request_id)
                    if any(one.id == given.unless_decided for one in decided):
                        return
                announce(session, Topic.REQUESTS, given.request_id)
                add_event(
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
                    return standing_of(row)
                row.state = given.state
                row.state_reason = given.state_reason
                row.updated_at = utc_now()
                announce(session, Topic.REQUESTS, given.request_id)
                if given.state is State.APPLY_FAILED:
                    await tell_of_request(session, row, Event.REQUEST_FAILED)
                add_event(
                    session,
                    actor=given.actor,
                    action=Action.REQUEST_CLOSED,
                    subject=requests.subject_of(given.request_id),
                    detail=f"{given.state}: {given.state_reason}",
                )
                return standing_of(row)

    @activity.defn
    async def look_up(self, given: LookUp) -> Standing | None:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                row = await requests.find_request_row(session, given.request_id)
                return None if row is None else standing_of(row)

    @activity.defn
    async def find_successor(self, given: LookUp) -> Successor:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                row = await requests.find_request_row(session, given.request_id)
                newer = None if row is None else await asked_before.successor_of(session, row)
                return Successor(label=newer)


class _CannotPresentError(Exception):
    """It was asked all the same; the checks are then tried one by one."""


async def _insert(session: AsyncSession, given: OpenRequest) -> RequestRow | None:
    """With its first round. ``None``: it is there already, from an earlier try or a reset."""
    draft, subject = given.draft, given.draft.subject
    authors = await authors_of(session, subject, draft.requester)
    return await add_request(
        session,
        {
            "id": draft.id,
            "workflow_id": given.workflow_id,
            "kind": subject.kind,
            "state": State.GATHERING,
            "state_reason": "",
            "server_id": subject.server_id,
            "subject": subject.model_dump(mode="json"),
            **await publication_of(session, subject),
            "digest": draft.digest,
            "requester": draft.requester,
            "notes": draft.notes,
            "quorum": draft.quorum,
            "needs": Needs().model_dump(mode="json"),
            "authors": authors,
            "created_at": given.opened_at,
            "updated_at": given.opened_at,
            "expires_at": given.opened_at + draft.ttl,
        },
        policy_version=draft.terms.policy_version if draft.terms else None,
        client_names=clients_in(authors),
    )


async def _revised(session: AsyncSession, request_id: RequestId) -> RevisedRequest | None:
    row = await requests.get_request_row(session, request_id)
    if row.round == 1:
        return None
    return RevisedRequest(
        round=row.round, subject=requests.subject_in(row), digest=Digest(row.digest)
    )
