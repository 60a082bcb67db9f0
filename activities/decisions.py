"""Decisions on a request, made and taken back under the one rule, as people's roles are now."""

from collections.abc import Iterable, Sequence
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import Table, insert, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.applying import Appliers
from activities.errors import final_domain_errors
from activities.telling import tell_of_request
from mcpbox.domain.audit import Action
from mcpbox.domain.decisions import Channel, Decision
from mcpbox.domain.errors import Conflict, Refused
from mcpbox.domain.manifests import Needs
from mcpbox.domain.notices import Event
from mcpbox.domain.people import Principal, PrincipalKind
from mcpbox.domain.requests import ReviewAfterwards, State
from mcpbox.policies.review import (
    in_whose_right,
    may_decide,
    may_repeat,
    may_retract,
    standing_votes,
    tally,
)
from mcpbox.store import people, requests
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.requests import CommentRow, DecisionRow, RequestRow
from mcpbox.vouchers import Vouchers
from workflows.contracts import (
    ApplyRequest,
    DecisionActivities,
    Examination,
    RecordDecision,
    RecordRetraction,
    Standing,
)

_KEEP = insert(cast("Table", DecisionRow.__table__))
_TELLING = (State.DENIED, State.CHANGES_REQUESTED)
"""Decisions that lead to nothing else which is told."""


class StoredDecisions(DecisionActivities):
    def __init__(self, sessions: Sessions, vouchers: Vouchers, appliers: Appliers) -> None:
        self._sessions = sessions
        self._vouchers = vouchers
        self._appliers = appliers

    @activity.defn
    async def record_decision(self, given: RecordDecision) -> Standing:
        """Asks the one rule, with the reviewer's roles and the channel as they are in truth.

        What an approval leads to, where that is quick, is done with it or left for later.
        """
        try:
            return await self._record_decision(given, given.applying)
        except _CannotApplyError:
            return await self._record_decision(given, None)

    async def _record_decision(
        self, given: RecordDecision, applying: Examination | None
    ) -> Standing:
        draft = given.draft
        channel = self._vouchers.channel_of_decision(
            given.voucher, given.request_id, draft, given.reviewer, given.channel
        )
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                decided = await requests.decisions_of(session, given.request_id)
                earlier = next((one for one in decided if one.id == draft.id), None)
                if earlier is not None:
                    may_repeat(earlier, given.reviewer, draft).require()
                    return standing_of(row)
                reviewer = await _reviewer(session, given.reviewer)
                facts = requests.facts_in(row, decided)
                may_decide(facts, reviewer, draft, channel).require()
                right_of = in_whose_right(facts, reviewer)
                decision = _decision(given, channel, row.round, right_of)
                await _keep_decision(session, decision)
                votes = standing_votes([*decided, decision], row.round)
                row.state = _state_after(votes, row.quorum)
                row.state_reason = draft.reason
                _keep_granted(row, votes)
                row.updated_at = given.decided_at
                if draft.break_glass:
                    row.review_afterwards = ReviewAfterwards.OPEN
                announce(session, Topic.REQUESTS, given.request_id)
                if State(row.state) in _TELLING:
                    await tell_of_request(session, row, Event.REQUEST_DECIDED)
                if draft.break_glass:
                    await tell_of_request(session, row, Event.BREAK_GLASS)
                _tell_of_decision(session, decision, reviewer)
                if applying is not None and row.state == State.APPROVED:
                    approver = requests.approvers(row, [*decided, decision])
                    await self._apply(session, row, applying, approver)
                return standing_of(row)

    async def _apply(
        self, session: AsyncSession, row: RequestRow, given: Examination, approver: str
    ) -> None:
        """Raises: _CannotApplyError: all of it is taken back, with the decision."""
        if requests.days_of(row, given.subject) is not None:
            return  # what ends by itself has a timer, and that is no matter of the database
        try:
            applying = ApplyRequest(**given.model_dump())
            await self._appliers[given.subject.kind](session, row, applying, approver)
        except Exception as error:  # whatever it is: no decision is lost by it
            raise _CannotApplyError from error

    @activity.defn
    async def record_retraction(self, given: RecordRetraction) -> Standing:
        channel = self._vouchers.channel_of_retraction(
            given.voucher, given.request_id, given.reviewer, given.channel
        )
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                decided = await requests.decisions_of(session, given.request_id)
                if any(_is_retracted_by(decision, given) for decision in decided):
                    return standing_of(row)
                reviewer = await _reviewer(session, given.reviewer)
                may_retract(requests.facts_in(row, decided), reviewer).require()
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
                _keep_granted(row, votes)
                row.updated_at = given.retracted_at
                announce(session, Topic.REQUESTS, given.request_id)
                add_event(
                    session,
                    actor=reviewer.label,
                    action=Action.DECISION_RETRACTED,
                    subject=requests.subject_of(given.request_id),
                    facts={"channel": channel},
                )
                return standing_of(row)


class _CannotApplyError(Exception):
    """It is approved all the same; the request itself says then what became of it."""


def standing_of(row: RequestRow) -> Standing:
    return Standing(state=State(row.state), state_reason=row.state_reason)


async def _reviewer(session: AsyncSession, username: str) -> Principal:
    reviewer = await people.find_reviewer(session, username)
    if reviewer is None:
        raise Refused(f"{username[:80]!r} is not the name of an active person.")
    return reviewer


def _state_after(votes: Sequence[Decision], quorum: int) -> State:
    if votes and votes[-1].break_glass:
        return State.APPROVED
    return tally((vote.verdict for vote in votes), quorum)


def _keep_granted(row: RequestRow, votes: Sequence[Decision]) -> None:
    """What an approval comes to: the part that nobody refused, for the shortest time given."""
    row.granted = row.granted_days = None
    if row.state != State.APPROVED:
        return
    row.granted = _granted(Needs.model_validate(row.needs), votes)
    given = (vote.granted_days for vote in votes if vote.granted_days is not None)
    row.granted_days = min(given, default=None)


def _granted(needs: Needs, votes: Iterable[Decision]) -> dict[str, Any] | None:
    """What is left of the needs; ``None`` when nobody refused any of it."""
    refused = {item for vote in votes for item in vote.refused}
    return needs.without(refused).model_dump(mode="json") if refused else None


def _is_retracted_by(decision: Decision, given: RecordRetraction) -> bool:
    return decision.reviewer == given.reviewer and decision.retracted_at == given.retracted_at


def _decision(
    given: RecordDecision, channel: Channel, round_number: int, right_of: str | None
) -> Decision:
    return Decision(
        **given.draft.model_dump(),
        request_id=given.request_id,
        reviewer=given.reviewer,
        channel=channel,
        decided_at=given.decided_at,
        round=round_number,
        on_behalf_of=None if right_of == given.reviewer else right_of,
    )


async def _keep_decision(session: AsyncSession, decision: Decision) -> None:
    values = decision.model_dump(exclude={"comments", "refused", "probation"})
    limits = decision.probation
    values["refused"] = list(decision.refused)
    values["probation"] = None if limits is None else limits.model_dump(mode="json")
    await session.execute(_KEEP, values)
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


def _tell_of_decision(session: AsyncSession, decision: Decision, reviewer: Principal) -> None:
    told = f"{decision.verdict}: {decision.reason}" if decision.reason else str(decision.verdict)
    if decision.on_behalf_of:
        told = f"for {decision.on_behalf_of}, {told}"
    if decision.refused:
        told = f"{told} (without {', '.join(decision.refused)})"
    if decision.granted_days is not None:
        told = f"{told} (what it grants ends after {decision.granted_days} days)"
    forced = Action.REQUEST_BREAK_GLASS
    add_event(
        session,
        actor=reviewer.label,
        action=forced if decision.break_glass else Action.DECISION_ADDED,
        subject=requests.subject_of(decision.request_id),
        detail=told,
        facts={"channel": decision.channel, "digest": decision.seen_digest},
    )
