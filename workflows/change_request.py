"""One request of an LLM as a workflow: the messages that reach it while it lives."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from mcpbox import temporal
    from mcpbox.domain.commands import DecideCommand, RetractCommand, ReviseCommand, WithdrawCommand
    from mcpbox.domain.decisions import Channel, DecisionDraft
    from mcpbox.domain.errors import DomainError, RequestFinished
    from mcpbox.domain.ids import DecisionId
    from mcpbox.domain.people import SYSTEM
    from mcpbox.domain.requests import Outcome, State
    from mcpbox.domain.subjects import GrantSubject
    from mcpbox.domain.texts import made_keepable, reveal
    from mcpbox.policies.review import may_decide, may_retract, may_revise, may_withdraw
    from mcpbox.temporal import Message
    from workflows.contracts import (
        DecisionActivities,
        LookUp,
        RecordDecision,
        RecordRefusal,
        RecordRetraction,
        RecordRevision,
        RequestActivities,
        RoundActivities,
        Standing,
        StartRequest,
    )
    from workflows.doing import patiently, refused_by_name
    from workflows.kinds import strategy_of
    from workflows.operator_input import OperatorDecision, why_malformed
    from workflows.request_life import RequestLife, superseded_by

Recorded = TypeVar("Recorded")
Answer = TypeVar("Answer")


@workflow.defn(name=temporal.CHANGE_REQUEST)
class ChangeRequestWorkflow(RequestLife):
    """The truth about one request while it lives; the database rows are its projection."""

    @workflow.init
    def __init__(self, start: StartRequest) -> None:
        # Runs before any message: handlers may rely on every field.
        super().__init__(start)

    @workflow.run
    async def run(self, start: StartRequest) -> Outcome:
        life = asyncio.create_task(self._live())
        while True:
            try:
                # Shielded: a cancellation must not tear a change in half.
                outcome = await asyncio.shield(life)
            except asyncio.CancelledError:
                if life.cancelled():
                    raise
                self._end(State.WITHDRAWN, "An operator cancelled the workflow.", "temporal")
                continue
            if outcome is not None:
                break
            if self._may_go_on_anew():
                workflow.continue_as_new(self._next_run())
            life = asyncio.create_task(self._live())
        await workflow.wait_condition(workflow.all_handlers_finished)
        return outcome

    def _may_go_on_anew(self) -> bool:
        return self._wants_a_new_run() and workflow.all_handlers_finished()

    # Messages

    @workflow.update(name=Message.DECIDE, description="Decide; answers the final outcome.")
    async def decide(self, command: DecideCommand) -> Outcome:
        return await self._decide(
            command.draft, command.reviewer.name, command.channel, command.voucher
        )

    @decide.validator
    def _admit_decision(self, command: DecideCommand) -> None:
        if self._presenting:
            # Whoever sees it waiting may be quicker than the news: judged when it is recorded.
            return
        may_decide(self._facts(), command.reviewer, command.draft, command.channel).require()

    @workflow.signal(
        name=Message.DECIDE,
        description="For operators: {verdict, reviewer, reason, seen_digest}.",
    )
    async def decide_by_signal(self, raw: Any = None) -> None:
        # Untyped on purpose: what does not decode is dropped by the SDK without a trace. And
        # nothing may be raised from here: it would fail the whole workflow.
        self._signalled += 1
        number, reviewer = self._signalled, "unknown"
        try:
            given = OperatorDecision.model_validate(raw)
            reviewer = given.reviewer
            draft = DecisionDraft(
                id=given.id_in(self._draft.id, number),
                **given.model_dump(exclude={"id", "reviewer"}),
            )
            await self._decide_as_sent(draft, reviewer)
        except ValidationError as error:
            await self._refuse(reviewer, why_malformed(error))
        except (ApplicationError, DomainError) as error:
            await self._refuse(reviewer, str(error))

    async def _decide_as_sent(self, draft: DecisionDraft, reviewer: str) -> None:
        try:
            await self._decide(draft, reviewer, Channel.TEMPORAL)
        except ApplicationError as error:
            if error.type != RequestFinished.__name__:
                raise
            await self._refuse(reviewer, str(error), unless_decided=draft.id)

    @workflow.signal(dynamic=True)
    async def refuse_unknown(self, name: str, _: Sequence[RawValue]) -> None:
        await self._refuse("unknown", f"There is no signal {name[:80]!r}; use 'decide'.")

    @workflow.update(name=Message.WITHDRAW, description="Take the request back.")
    async def withdraw(self, command: WithdrawCommand) -> Outcome:
        reason = command.reason or f"Withdrawn by {command.by.label}."
        self._end(State.WITHDRAWN, reason, command.by.label)
        await workflow.wait_condition(lambda: self._outcome is not None)
        if self._state is not State.WITHDRAWN:
            # What was being recorded came before it, or another end did.
            raise ApplicationError(str(RequestFinished(self._state)), type="RequestFinished")
        return self._so_far()

    @withdraw.validator
    def _admit_withdrawal(self, command: WithdrawCommand) -> None:
        may_withdraw(self._facts(), command.by).require()

    @workflow.update(name=Message.REVISE, description="Ask for a newer version instead.")
    async def revise(self, command: ReviseCommand) -> Outcome:
        async with self._changing:
            refusal = may_revise(self._facts(), command.by, command.digest).refusal
            if refusal is not None:
                raise ApplicationError(str(refusal), type=type(refusal).__name__)
            await self._recording(
                RoundActivities.record_revision,
                RecordRevision(
                    request_id=self._draft.id,
                    round=self._round + 1,
                    subject=command.subject,
                    digest=command.digest,
                    by=command.by.label,
                    notes=command.notes,
                    revised_at=workflow.now(),
                ),
            )
            self._round += 1
            self._subject, self._digest = command.subject, command.digest
            self._strategy = strategy_of(command.subject)
            self._enter(State.GATHERING, "")
        return self._so_far()

    @revise.validator
    def _admit_revision(self, command: ReviseCommand) -> None:
        may_revise(self._facts(), command.by, command.digest).require()

    @workflow.update(name=Message.RETRACT, description="Take one's own vote back.")
    async def retract(self, command: RetractCommand) -> Outcome:
        async with self._changing:
            self._require_waiting()
            standing = await self._recording(
                DecisionActivities.record_retraction,
                RecordRetraction(
                    request_id=self._draft.id,
                    reviewer=command.by.name,
                    channel=command.channel,
                    voucher=command.voucher,
                    retracted_at=workflow.now(),
                ),
            )
            self._take_up_standing(standing)
        return await self._when_settled()

    @retract.validator
    def _admit_retraction(self, command: RetractCommand) -> None:
        may_retract(self._facts(), command.by).require()

    @workflow.signal(name=Message.SUPERSEDE, description="Sent by a newer request.")
    async def supersede(self, _: Any = None) -> None:
        # Whatever is sent: the record alone says what took its place.
        look = LookUp(request_id=self._draft.id)
        label = (await patiently(RequestActivities.find_successor, look)).label
        if label is None:
            await self._refuse("unknown", "Nothing newer is asked for that could supersede this.")
        else:
            self._end(State.SUPERSEDED, superseded_by(label), SYSTEM.label)

    @workflow.signal(
        name=Message.CATCH_UP, description="Sent where its record alone says that it has ended."
    )
    async def catch_up(self, _: Any = None) -> None:
        async with self._changing:
            if self._waiting():
                look = LookUp(request_id=self._draft.id)
                standing = await patiently(RequestActivities.look_up, look)
                # An end alone: nothing is applied because a row says that it was approved.
                if standing is not None and standing.state.terminal:
                    self._enter(standing.state, standing.state_reason)

    @workflow.query(name="outcome", description="Where the request stands.")
    def outcome(self) -> Outcome:
        return self._so_far()

    # Parts

    async def _decide(
        self, draft: DecisionDraft, reviewer: str, channel: Channel, voucher: str = ""
    ) -> Outcome:
        await workflow.wait_condition(lambda: not self._presenting)
        async with self._changing:
            self._require_waiting()
            # The same rule again, with the reviewer's roles as the database has them.
            given = RecordDecision(
                request_id=self._draft.id,
                draft=draft,
                reviewer=reviewer,
                channel=channel,
                voucher=voucher,
                decided_at=workflow.now(),
            )
            with refused_by_name():
                if self._ends_with(draft):
                    given = given.model_copy(update={"applying": self._examination()})
                    standing = await self._have_done(DecisionActivities.record_decision, given)
                else:
                    standing = await patiently(DecisionActivities.record_decision, given)
            self._take_up_standing(standing)
        return await self._when_settled()

    def _ends_with(self, draft: DecisionDraft) -> bool:
        """One transaction decides it and does what that leads to; see ADR 0040."""
        if self._presented is None:
            return False
        asked = self._subject.days if isinstance(self._subject, GrantSubject) else None
        lasts = asked is None and draft.granted_days is None
        return lasts and self._strategy.applies_at_once and self._terms().approvals == 1

    def _take_up_standing(self, standing: Standing) -> None:
        # What a reset sends again comes before the request is presented again, which says the same
        # and what it takes to decide it.
        if self._state is not State.GATHERING or not standing.state.decidable:
            self._enter(standing.state, standing.state_reason)

    def _require_waiting(self) -> None:
        """Another change may have come first. Raises: ApplicationError."""
        if not self._waiting():
            raise ApplicationError(
                f"This request is {self._state}; it can no longer be decided.",
                type="RequestFinished",
            )

    async def _recording(
        self, recording: Callable[[Any, Recorded], Awaitable[Answer]], given: Recorded
    ) -> Answer:
        """Raises: ApplicationError: what the database refused, by the name of the domain error."""
        with refused_by_name():
            return await patiently(recording, given)

    async def _when_settled(self) -> Outcome:
        """The final outcome, unless the request goes on waiting."""
        if not self._waiting():
            await workflow.wait_condition(lambda: self._outcome is not None)
        return self._so_far()

    async def _refuse(
        self, reviewer: str, reason: str, *, unless_decided: DecisionId | None = None
    ) -> None:
        await patiently(
            RequestActivities.record_refusal,
            RecordRefusal(
                request_id=self._draft.id,
                reviewer=reveal(made_keepable(reviewer[:80])),
                # Names of fields that nobody asked for are in it as they were sent.
                reason=made_keepable(reason[:1000]),
                refused_at=workflow.now(),
                unless_decided=unless_decided,
            ),
        )
