"""One request of an LLM, from the ask to its effect: gather, wait for people, apply, or end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from mcpbox import temporal
    from mcpbox.domain.errors import DomainError
    from mcpbox.domain.ids import DecisionId
    from mcpbox.domain.manifests import Needs
    from mcpbox.domain.people import SYSTEM
    from mcpbox.domain.requests import (
        Channel,
        DecideCommand,
        DecisionDraft,
        Outcome,
        RetractCommand,
        ReviseCommand,
        State,
        WithdrawCommand,
        request_id_of,
    )
    from mcpbox.domain.review import ReviewTerms
    from mcpbox.domain.texts import made_keepable
    from mcpbox.policies.review import (
        RequestFacts,
        may_decide,
        may_retract,
        may_revise,
        may_withdraw,
    )
    from mcpbox.temporal import Message
    from workflows.contracts import (
        ApplyRequest,
        Carried,
        CloseRequest,
        Examination,
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
        StartRequest,
    )
    from workflows.details import details
    from workflows.kinds import STORE_TIMEOUT, strategy_of
    from workflows.operator_input import OperatorDecision, why_malformed

Recorded = TypeVar("Recorded")
Answer = TypeVar("Answer")
STORE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)
"""Without end: Postgres comes back, and nothing that was decided may be lost."""
CHECK_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=5)
)
HEARTBEAT = timedelta(seconds=10)
ROUNDS_PER_RUN = 10
"""So many revisions later, a request goes on in a new run with a new history."""


@workflow.defn(name=temporal.CHANGE_REQUEST)
class ChangeRequestWorkflow:
    """The truth about one request while it lives; the database rows are its projection."""

    @workflow.init
    def __init__(self, start: StartRequest) -> None:
        # Runs before any message: handlers may rely on every field below.
        self._draft = start
        self._subject = start.subject
        self._digest = start.digest
        self._strategy = strategy_of(start.subject)
        self._opened_at = workflow.info().workflow_start_time
        self._round = self._first_round = 1
        self._state = State.GATHERING
        self._state_reason = ""
        self._recorded = False
        self._presented: PresentedRequest | None = None
        self._reminded = 0
        self._escalated = False
        self._ending: CloseRequest | None = None
        self._outcome: Outcome | None = None
        # Whoever holds it may change the state; others look again after they got it.
        self._changing = asyncio.Lock()
        if start.carried is not None:
            self._take_up(start.carried)

    def _take_up(self, carried: Carried) -> None:
        self._opened_at = carried.opened_at
        self._round = self._first_round = carried.round
        self._subject = carried.subject
        self._strategy = strategy_of(carried.subject)
        self._digest = carried.digest
        self._state = carried.state
        self._state_reason = carried.state_reason
        self._presented = carried.presented
        self._reminded = carried.reminded
        self._escalated = carried.escalated
        self._recorded = True

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

    async def _live(self) -> Outcome | None:
        """``None``: it should go on in a new run, and nothing happens to it now."""
        if not self._recorded:
            await self._open()
        self._show()
        while True:
            if self._state is State.GATHERING:
                await self._gather()
            await self._wait_for_people()
            if self._wants_a_new_run():
                await workflow.wait_condition(
                    lambda: workflow.all_handlers_finished() or not self._wants_a_new_run()
                )
                if self._wants_a_new_run():
                    return None
            if self._ending is not None or not self._waiting():
                break
        async with self._changing:
            await self._close_or_apply()
        self._outcome = self._so_far()
        self._show()
        return self._outcome

    async def _open(self) -> None:
        opened = await workflow.execute_activity_method(
            RequestActivities.open_request,
            OpenRequest(
                draft=self._draft,
                workflow_id=workflow.info().workflow_id,
                opened_at=self._opened_at,
            ),
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=STORE_RETRY,
            summary=self._draft.subject.label,
        )
        self._recorded = True
        for workflow_id in opened.older_workflow_ids:
            older = workflow.get_external_workflow_handle(workflow_id)
            try:
                await older.signal(Message.SUPERSEDE, self._draft.subject.label)
            except ApplicationError:
                # It has ended: by itself, which its row then says and keeps, or by a
                # termination, which runs no code, so that its row would wait for ever.
                await self._record_close(
                    CloseRequest(
                        request_id=request_id_of(workflow_id),
                        state=State.SUPERSEDED,
                        state_reason=_superseded_by(self._draft.subject.label),
                        actor=SYSTEM.label,
                    )
                )

    async def _gather(self) -> None:
        examination = self._examination()
        checks = asyncio.gather(
            *(self._check(check, examination) for check in self._strategy.examinations)
        )
        await workflow.wait_condition(lambda: checks.done() or self._ending is not None)
        if not checks.done():
            checks.cancel()
            return
        presented = await workflow.execute_activity_method(
            RequestActivities.present_request,
            PresentRequest(**examination.model_dump(), expected=self._strategy.expected),
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=STORE_RETRY,
        )
        self._presented = presented
        self._digest = presented.digest or self._digest
        self._enter(presented.state, presented.state_reason)

    async def _check(
        self, check: Callable[[Any, Examination], Awaitable[None]], examination: Examination
    ) -> None:
        try:
            await workflow.execute_activity_method(
                check,
                examination,
                start_to_close_timeout=self._strategy.check_timeout,
                schedule_to_close_timeout=self._strategy.check_patience,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=CHECK_RETRY,
            )
        except ActivityError:
            # It leaves no evidence, and that is shown as missing.
            workflow.logger.warning("request.check_failed")

    async def _wait_for_people(self) -> None:
        while self._state.decidable and self._ending is None:
            due_at, ring, name = self._next_alarm()
            try:
                await workflow.wait_condition(
                    lambda: (
                        self._ending is not None
                        or not self._state.decidable
                        or self._wants_a_new_run()
                    ),
                    timeout=max(due_at - workflow.now(), timedelta(milliseconds=1)),
                    timeout_summary=name,
                )
            except TimeoutError:
                await ring(due_at)
            else:
                return

    def _next_alarm(self) -> tuple[datetime, Callable[[datetime], Awaitable[None]], str]:
        """When, what is done then, and its name in Temporal's Web UI."""
        terms = self._terms()
        alarms = [(self._expires_at(), self._expire, "expiry")]
        if self._reminded < len(terms.reminders):
            due_at = self._opened_at + terms.reminders[self._reminded]
            alarms.append((due_at, self._remind, "reminder"))
        if terms.escalate_after is not None and terms.escalate_to and not self._escalated:
            alarms.append((self._opened_at + terms.escalate_after, self._escalate, "escalation"))
        return min(alarms, key=lambda alarm: alarm[0])

    async def _expire(self, due_at: datetime) -> None:
        self._end(State.EXPIRED, "Nobody decided in time.", SYSTEM.label)

    async def _remind(self, due_at: datetime) -> None:
        self._reminded += 1
        await self._tell(Remind(request_id=self._draft.id, number=self._reminded, due_at=due_at))

    async def _escalate(self, due_at: datetime) -> None:
        to = self._terms().escalate_to
        await self._tell(Remind(request_id=self._draft.id, number=0, escalate_to=to, due_at=due_at))
        self._escalated = True

    async def _tell(self, reminder: Remind) -> None:
        await workflow.execute_activity_method(
            RequestActivities.remind,
            reminder,
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=STORE_RETRY,
        )

    def _wants_a_new_run(self) -> bool:
        """Only while people decide: then all that matters fits into :class:`Carried`."""
        long = (
            self._round - self._first_round >= ROUNDS_PER_RUN
            or workflow.info().is_continue_as_new_suggested()
        )
        return long and self._state.decidable and self._ending is None

    def _may_go_on_anew(self) -> bool:
        return self._wants_a_new_run() and workflow.all_handlers_finished()

    def _next_run(self) -> StartRequest:
        assert self._presented is not None
        carried = Carried(
            opened_at=self._opened_at,
            round=self._round,
            subject=self._subject,
            digest=self._digest,
            state=self._state,
            state_reason=self._state_reason,
            presented=self._presented,
            reminded=self._reminded,
            escalated=self._escalated,
        )
        return self._draft.model_copy(update={"carried": carried})

    async def _close_or_apply(self) -> None:
        if self._waiting() and self._ending is not None:
            await self._close(self._ending)
        elif self._state is State.VETOED:
            await self._close(self._closing(State.VETOED, self._state_reason, SYSTEM.label))
        elif self._state is State.APPROVED:
            await self._apply()

    async def _apply(self) -> None:
        self._enter(State.APPLYING, self._state_reason)
        window = self._terms().execution_window
        examination = self._examination()
        try:
            await workflow.execute_activity_method(
                self._strategy.apply,
                ApplyRequest(**examination.model_dump()),
                start_to_close_timeout=self._strategy.apply_timeout,
                schedule_to_close_timeout=window,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=STORE_RETRY,
                summary=f"apply: {self._subject.label}",
            )
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.non_retryable:
                await self._close(
                    self._closing(State.APPLY_FAILED, error.cause.message, SYSTEM.label)
                )
            else:
                await self._close(self._closing(State.EXPIRED, _lapsed(window), SYSTEM.label))
        else:
            self._enter(State.APPLIED, self._state_reason)

    async def _close(self, closing: CloseRequest) -> None:
        standing = await self._record_close(closing)
        self._enter(standing.state, standing.state_reason)

    async def _record_close(self, closing: CloseRequest) -> Standing:
        return await workflow.execute_activity_method(
            RequestActivities.close_request,
            closing,
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=STORE_RETRY,
        )

    # Messages

    @workflow.update(name=Message.OPENED, description="Answers once the request is on record.")
    async def opened(self) -> Outcome:
        await workflow.wait_condition(lambda: self._recorded)
        return self._so_far()

    @opened.validator
    def _admit_opened(self) -> None:
        """An update without a validator would wedge on a wrong number of arguments."""

    @workflow.update(name=Message.DECIDE, description="Decide; answers the final outcome.")
    async def decide(self, command: DecideCommand) -> Outcome:
        return await self._decide(command.draft, command.reviewer.name, command.channel)

    @decide.validator
    def _admit_decision(self, command: DecideCommand) -> None:
        may_decide(self._facts(), command.reviewer, command.draft, command.channel).require()

    @workflow.signal(
        name=Message.DECIDE,
        description="For operators: {verdict, reviewer, reason, seen_digest}.",
    )
    async def decide_by_signal(self, raw: Any = None) -> None:
        # Untyped on purpose: what does not decode is dropped by the SDK without a trace. And
        # nothing may be raised from here: it would fail the whole workflow.
        reviewer = "unknown"
        try:
            given = OperatorDecision.model_validate(raw)
            reviewer = given.reviewer
            draft = DecisionDraft(
                id=given.id or DecisionId(workflow.uuid4()),
                **given.model_dump(exclude={"id", "reviewer"}),
            )
            await self._decide(draft, reviewer, Channel.TEMPORAL)
        except ValidationError as error:
            await self._refuse(reviewer, why_malformed(error))
        except (ApplicationError, DomainError) as error:
            await self._refuse(reviewer, str(error))

    @workflow.signal(dynamic=True)
    async def refuse_unknown(self, name: str, _: Sequence[RawValue]) -> None:
        await self._refuse("unknown", f"There is no signal {name[:80]!r}; use 'decide'.")

    @workflow.update(name=Message.WITHDRAW, description="Take the request back.")
    async def withdraw(self, command: WithdrawCommand) -> Outcome:
        reason = command.reason or f"Withdrawn by {command.by.label}."
        self._end(State.WITHDRAWN, reason, command.by.label)
        await workflow.wait_condition(lambda: self._outcome is not None)
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
                RequestActivities.record_revision,
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
                RequestActivities.record_retraction,
                RecordRetraction(
                    request_id=self._draft.id,
                    reviewer=command.by.name,
                    channel=command.channel,
                    retracted_at=workflow.now(),
                ),
            )
            self._enter(standing.state, standing.state_reason)
        return await self._when_settled()

    @retract.validator
    def _admit_retraction(self, command: RetractCommand) -> None:
        may_retract(self._facts(), command.by).require()

    @workflow.signal(name=Message.SUPERSEDE, description="Sent by a newer request.")
    async def supersede(self, newer: Any = None) -> None:
        if not isinstance(newer, str):
            await self._refuse("unknown", "The signal 'supersede' is for newer requests only.")
            return
        name = made_keepable(newer[:200])
        self._end(State.SUPERSEDED, _superseded_by(name), SYSTEM.label)

    @workflow.query(name="outcome", description="Where the request stands.")
    def outcome(self) -> Outcome:
        return self._so_far()

    # Parts

    async def _decide(self, draft: DecisionDraft, reviewer: str, channel: Channel) -> Outcome:
        async with self._changing:
            self._require_waiting()
            # The same rule again, with the reviewer's roles as the database has them.
            standing = await self._recording(
                RequestActivities.record_decision,
                RecordDecision(
                    request_id=self._draft.id,
                    draft=draft,
                    reviewer=reviewer,
                    channel=channel,
                    decided_at=workflow.now(),
                ),
            )
            self._enter(standing.state, standing.state_reason)
        return await self._when_settled()

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
        try:
            return await workflow.execute_activity_method(
                recording,
                given,
                start_to_close_timeout=STORE_TIMEOUT,
                retry_policy=STORE_RETRY,
            )
        except ActivityError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError):
                raise ApplicationError(cause.message, type=cause.type) from error
            raise

    async def _when_settled(self) -> Outcome:
        """The final outcome, unless the request goes on waiting."""
        if not self._waiting():
            await workflow.wait_condition(lambda: self._outcome is not None)
        return self._so_far()

    async def _refuse(self, reviewer: str, reason: str) -> None:
        await workflow.execute_activity_method(
            RequestActivities.record_refusal,
            RecordRefusal(
                request_id=self._draft.id,
                reviewer=made_keepable(reviewer[:80]),
                # Names of fields that nobody asked for are in it as they were sent.
                reason=made_keepable(reason[:1000]),
                refused_at=workflow.now(),
            ),
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=STORE_RETRY,
        )

    def _waiting(self) -> bool:
        return self._state is State.GATHERING or self._state.decidable

    def _end(self, state: State, reason: str, actor: str) -> None:
        """The first reason to end counts; a decision that is being recorded comes before it."""
        if self._ending is None:
            self._ending = self._closing(state, reason, actor)

    def _closing(self, state: State, reason: str, actor: str) -> CloseRequest:
        return CloseRequest(
            request_id=self._draft.id, state=state, state_reason=reason, actor=actor
        )

    def _enter(self, state: State, reason: str) -> None:
        self._state = state
        self._state_reason = reason
        self._show()

    def _so_far(self) -> Outcome:
        return Outcome(
            request_id=self._draft.id, state=self._state, state_reason=self._state_reason
        )

    def _facts(self) -> RequestFacts:
        presented = self._presented
        return RequestFacts(
            state=self._state,
            digest=self._digest,
            requester=self._draft.requester,
            terms=self._terms(),
            authors=presented.authors if presented else frozenset(),
            owners=presented.owners if presented else frozenset(),
            escalated=self._escalated,
            needs=presented.needs if presented else Needs(),
        )

    def _terms(self) -> ReviewTerms:
        """As the draft has them, until it is presented."""
        draft = self._draft
        if self._presented is None:
            return ReviewTerms(approvals=draft.quorum, ttl=draft.ttl)
        return self._presented.terms

    def _expires_at(self) -> datetime:
        return self._opened_at + self._terms().ttl

    def _examination(self) -> Examination:
        return Examination(request_id=self._draft.id, subject=self._subject, digest=self._digest)

    def _show(self) -> None:
        """Search attributes and details make the Temporal Web UI an audit tool."""
        updates = [temporal.STATE.value_set(self._state)]
        if self._presented is not None:
            updates.append(temporal.RISK.value_set(self._presented.risk))
        workflow.upsert_search_attributes(updates)
        workflow.set_current_details(
            details(
                self._draft.model_copy(update={"subject": self._subject, "digest": self._digest}),
                self._so_far(),
                self._presented,
                expires_at=self._expires_at(),
            )
        )


def _superseded_by(label: str) -> str:
    return f"A newer request took its place: {label}."


def _lapsed(window: timedelta) -> str:
    return (
        f"It was approved, but could not be applied within {window}; the approval has lapsed. "
        "Nothing was changed; ask again."
    )
