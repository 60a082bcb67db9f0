"""What people arrange among themselves: hand over, stand in, approve in a batch, look afterwards.

None of it moves a request, so no workflow is asked; what decides goes through :class:`.Requests`.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from mcpbox.domain.audit import Action
from mcpbox.domain.base import DomainModel, utc_now
from mcpbox.domain.decisions import Channel, ChosenId, DecisionDraft
from mcpbox.domain.errors import DomainError, Invalid, NotFound, Refused
from mcpbox.domain.ids import Digest, RequestId
from mcpbox.domain.people import Delegation, Principal, PrincipalKind
from mcpbox.domain.requests import Outcome, RequestDetail, ReviewAfterwards
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.review import (
    facts_of,
    may_approve_in_batch,
    may_assign,
    may_review_afterwards,
)
from mcpbox.store import people, requests
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.people import DelegationRow
from mcpbox.usecases.requests import Requests


class BatchItem(DomainModel):
    """One approval of a batch: a decision of its own, with its own id and digest."""

    request_id: RequestId
    id: ChosenId
    seen_digest: Digest


class BatchAnswer(DomainModel):
    request_id: RequestId
    outcome: Outcome | None
    refusal: str = ""
    """Why it was not approved; empty where it was."""


class Reviewing:
    def __init__(self, sessions: Sessions, requests: Requests) -> None:
        self._sessions = sessions
        self._requests = requests

    async def assign(self, by: Principal, request_id: RequestId, to: str) -> RequestDetail:
        """Ask a person to decide; others still may.

        Raises: NotFound; Refused; RequestFinished; Invalid: they may not decide it.
        """
        request = await self._requests.get(request_id)
        async with transaction(self._sessions) as session:
            person = await people.find_reviewer(session, to)
            if person is None:
                raise NotFound("active user", to)
            may_assign(facts_of(request), by, person).require()
            row = await requests.get_request_row(session, request_id)
            row.assignee = to
            announce(session, Topic.REQUESTS, request_id)
            add_event(
                session,
                actor=by.label,
                action=Action.REQUEST_ASSIGNED,
                subject=requests.subject_of(request_id),
                detail=f"to {to}",
            )
        return await self._requests.get(request_id)

    async def approve_batch(
        self, by: Principal, channel: Channel, items: Sequence[BatchItem], reason: str
    ) -> list[BatchAnswer]:
        """Each is decided by itself: one refusal does not hold up the others."""
        return [await self._approve_one(by, channel, item, reason) for item in items]

    async def review_afterwards(
        self, by: Principal, request_id: RequestId, note: str
    ) -> RequestDetail:
        """Say that one has looked at an approval that was forced.

        Raises: NotFound; Refused; Conflict: nothing waits for that.
        """
        async with transaction(self._sessions) as session:
            row = await requests.get_request_row(session, request_id)
            request = await requests.get_request(session, request_id)
            forced_by = frozenset(d.reviewer for d in request.decisions if d.break_glass)
            may_review_afterwards(
                facts_of(request), by, request.review_afterwards, forced_by
            ).require()
            row.review_afterwards = ReviewAfterwards.REVIEWED
            announce(session, Topic.REQUESTS, request_id)
            add_event(
                session,
                actor=by.label,
                action=Action.REQUEST_REVIEWED_AFTERWARDS,
                subject=requests.subject_of(request_id),
                detail=note,
            )
        return await self._requests.get(request_id)

    async def delegations(self, by: Principal) -> list[Delegation]:
        """Those that run, of this person and to this person; oldest first."""
        async with reading(self._sessions) as session:
            return await people.delegations(session, by.name)

    async def delegate(self, by: Principal, deputy: str, until: datetime) -> Delegation:
        """While ``by`` is away, ``deputy`` decides with their roles; a newer one replaces it.

        Raises: NotFound; Refused; Invalid.
        """
        now = utc_now()
        if by.kind is not PrincipalKind.PERSON:
            raise Refused("Only people have deputies.")
        if until <= now:
            raise Invalid("'until' lies in the past; give the day on which you are back.")
        if deputy == by.name:
            raise Invalid("Name somebody else as your deputy.")
        row = DelegationRow(
            id=uuid4(), delegator=by.name, deputy=deputy, until=until, created_at=now
        )
        async with transaction(self._sessions) as session:
            if await people.find_reviewer(session, deputy) is None:
                raise NotFound("active user", deputy)
            await people.end_delegations(session, by.name, now)
            session.add(row)
            await session.flush()
            add_event(
                session,
                actor=by.label,
                action=Action.DELEGATION_ADDED,
                subject=by.label,
                detail=f"to {deputy} until {until:%Y-%m-%d %H:%M} UTC",
            )
            return people.delegation_of(row)

    async def end_delegation(self, by: Principal) -> None:
        """Back again; without a deputy nothing changes."""
        async with transaction(self._sessions) as session:
            ended = await people.end_delegations(session, by.name, utc_now())
            for delegation in ended:
                add_event(
                    session,
                    actor=by.label,
                    action=Action.DELEGATION_ENDED,
                    subject=by.label,
                    detail=f"to {delegation.deputy}",
                )

    async def _approve_one(
        self, by: Principal, channel: Channel, item: BatchItem, reason: str
    ) -> BatchAnswer:
        draft = DecisionDraft(
            id=item.id, verdict=Verdict.APPROVE, reason=reason, seen_digest=item.seen_digest
        )
        try:
            request = await self._requests.get(item.request_id)
            may_approve_in_batch(request.risk).require()
            outcome = await self._requests.decide(by, channel, item.request_id, draft)
        except DomainError as error:
            return BatchAnswer(request_id=item.request_id, outcome=None, refusal=str(error))
        return BatchAnswer(request_id=item.request_id, outcome=outcome)
