"""One request of an LLM, from the ask to its effect: gather, wait for people, apply, or end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from mcpbox import temporal
    from mcpbox.domain.errors import DomainError
    from mcpbox.domain.ids import DecisionId
    from mcpbox.domain.people import SYSTEM
    from mcpbox.domain.requests import (
        Channel,
        DecideCommand,
        DecisionDraft,
        Outcome,
        RequestDraft,
        State,
        WithdrawCommand,
        request_id_of,
    )
    from mcpbox.domain.texts import made_keepable
    from mcpbox.policies.review import RequestFacts, may_decide, may_withdraw
    from mcpbox.temporal import Message
    from workflows.contracts import (
        ApplyRequest,
        CloseRequest,
        Examination,
        OpenRequest,
        PresentedRequest,
        PresentRequest,
        RecordDecision,
        RecordRefusal,
        RequestActivities,
    )
    from workflows.details import details
    from workflows.kinds import STORE_TIMEOUT, strategy_of
    from workflows.operator_input import OperatorDecision, why_malformed

STORE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)
"""Without end: Postgres comes back, and nothing that was decided may be lost."""
CHECK_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=5)
)
HEARTBEAT = timedelta(seconds=10)


@workflow.defn(name=temporal.CHANGE_REQUEST)
class ChangeRequestWorkflow:
    """The truth about one request while it lives; the database rows are its projection."""

    @workflow.init
    def __init__(self, draft: RequestDraft) -> None:
        # Runs before any message: handlers may rely on every field below.
        self._draft = draft
        self._digest = draft.digest
        self._strategy = strategy_of(draft.subject)
        self._state = State.GATHERING
        self._state_reason = ""
        self._recorded = False
        self._presented: PresentedRequest | None = None
        self._ending: CloseRequest | None = None
        self._outcome: Outcome | None = None
        # Whoever holds it may change the state; others look again after they got it.
        self._changing = asyncio.Lock()

    @workflow.run
    async def run(self, draft: RequestDraft) -> Outcome:
        life = asyncio.create_task(self._live())
        while True:
            try:
                # Shielded: a cancellation must not tear a change in half.
                outcome = await asyncio.shield(life)
                break
            except asyncio.CancelledError:
                if life.cancelled():
                    raise
                self._end(State.WITHDRAWN, "An operator cancelled the workflow.", "temporal")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return outcome

    async def _live(self) -> Outcome:
        await self._open()
        await self._gather()
        await self._wait_for_people()
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
                opened_at=workflow.info().workflow_start_time,
            ),
            start_to_close_timeout=STORE_TIMEOUT,
            retry_policy=STORE_RETRY,
            summary=self._draft.subject.label,
        )
        self._recorded = True
        self._show()
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
        deadline = workflow.info().workflow_start_time + self._draft.ttl
        left = max(deadline - workflow.now(), timedelta(milliseconds=1))
        try:
            await workflow.wait_condition(
                lambda: self._ending is not None or not self._waiting(),
                timeout=left,
                timeout_summary="expiry",
            )
        except TimeoutError:
            self._end(State.EXPIRED, "Nobody decided in time.", SYSTEM.label)

    async def _close_or_apply(self) -> None:
        if self._waiting() and self._ending is not None:
            await self._close(self._ending)
        elif self._state is State.VETOED:
            await self._close(self._closing(State.VETOED, self._state_reason, SYSTEM.label))
        elif self._state is State.APPROVED:
            await self._apply()

    async def _apply(self) -> None:
        self._enter(State.APPLYING, self._state_reason)
        examination = self._examination()
        try:
            await workflow.execute_activity_method(
                self._strategy.apply,
                ApplyRequest(**examination.model_dump()),
                start_to_close_timeout=self._strategy.apply_timeout,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=STORE_RETRY,
                summary=f"apply: {self._draft.subject.label}",
            )
        except ActivityError as error:
            reason = error.cause.message if isinstance(error.cause, ApplicationError) else ""
            await self._close(self._closing(State.APPLY_FAILED, reason, SYSTEM.label))
        else:
            self._enter(State.APPLIED, self._state_reason)

    async def _close(self, closing: CloseRequest) -> None:
        await self._record_close(closing)
        self._enter(closing.state, closing.state_reason)

    async def _record_close(self, closing: CloseRequest) -> None:
        await workflow.execute_activity_method(
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
        may_decide(self._facts(), command.reviewer, command.draft).require()

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
            if not self._waiting():
                raise ApplicationError(
                    f"This request is {self._state}; it can no longer be decided.",
                    type="RequestFinished",
                )
            try:
                # The same rule again, with the reviewer's roles as the database has them.
                recorded = await workflow.execute_activity_method(
                    RequestActivities.record_decision,
                    RecordDecision(
                        request_id=self._draft.id,
                        draft=draft,
                        reviewer=reviewer,
                        channel=channel,
                        decided_at=workflow.now(),
                    ),
                    start_to_close_timeout=STORE_TIMEOUT,
                    retry_policy=STORE_RETRY,
                )
            except ActivityError as error:
                cause = error.cause
                if isinstance(cause, ApplicationError):
                    raise ApplicationError(cause.message, type=cause.type) from error
                raise
            self._enter(recorded.state, recorded.state_reason)
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
        return RequestFacts(state=self._state, digest=self._digest, requester=self._draft.requester)

    def _examination(self) -> Examination:
        return Examination(
            request_id=self._draft.id, subject=self._draft.subject, digest=self._digest
        )

    def _show(self) -> None:
        """Search attributes and details make the Temporal Web UI an audit tool."""
        updates = [temporal.STATE.value_set(self._state)]
        if self._presented is not None:
            updates.append(temporal.RISK.value_set(self._presented.risk))
        workflow.upsert_search_attributes(updates)
        workflow.set_current_details(
            details(
                self._draft,
                self._so_far(),
                self._presented,
                expires_at=workflow.info().workflow_start_time + self._draft.ttl,
            )
        )


def _superseded_by(label: str) -> str:
    return f"A newer request took its place: {label}."
