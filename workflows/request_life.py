"""The life of one request: on record, gathering, waiting for people, applied or closed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from mcpbox.domain.people import SYSTEM
    from mcpbox.domain.requests import Outcome, State, request_id_of
    from mcpbox.temporal import Message
    from workflows.contracts import (
        ApplyRequest,
        CloseRequest,
        Examination,
        OpenRequest,
        PresentedRequest,
        Remind,
        RequestActivities,
        RoundActivities,
        Standing,
    )
    from workflows.doing import (
        ENDLESS,
        Answer,
        Doing,
        Given,
        Patience,
        at_once,
        final_cause,
        patiently,
    )
    from workflows.request_state import RequestState

CHECK_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=5)
)


class RequestLife(RequestState):
    """What the request does by itself; messages change its state meanwhile."""

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
        self._presenting = self._strategy.examines_at_once
        opened = await self._have_done(
            RequestActivities.open_request,
            OpenRequest(
                draft=self._draft,
                workflow_id=workflow.info().workflow_id,
                opened_at=self._opened_at,
                presenting=self._to_present() if self._presenting else None,
            ),
        )
        self._recorded = True
        if opened.revised is not None:
            self._take_up_round(opened.revised)
        if opened.presented is not None:
            self._take_up_presented(opened.presented)
        self._presenting = False
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
                        state_reason=superseded_by(self._draft.subject.label),
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
        self._presenting = True
        self._take_up_presented(
            await self._have_done(RoundActivities.present_request, self._to_present())
        )
        self._presenting = False

    def _take_up_presented(self, presented: PresentedRequest) -> None:
        self._presented = presented
        self._digest = presented.digest or self._digest
        self._enter(presented.state, presented.state_reason)

    async def _check(
        self, check: Callable[[Any, Examination], Awaitable[None]], examination: Examination
    ) -> None:
        strategy = self._strategy
        patience = Patience(strategy.check_timeout, strategy.check_patience, CHECK_RETRY)
        try:
            await self._have_done(check, examination, patience, quick=strategy.examines_at_once)
        except FailureError:
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
        await patiently(RequestActivities.remind, reminder)

    async def _close_or_apply(self) -> None:
        if self._waiting() and self._ending is not None:
            await self._close(self._ending)
        elif self._state is State.VETOED:
            await self._close(self._closing(State.VETOED, self._state_reason, SYSTEM.label))
        elif self._state is State.APPROVED:
            await self._apply()

    async def _apply(self) -> None:
        self._state = State.APPLYING
        strategy, window = self._strategy, self._terms().execution_window
        applying = ApplyRequest(**self._examination().model_dump())
        patience = Patience(strategy.apply_timeout, window)
        try:
            await self._have_done(
                strategy.apply, applying, patience, quick=strategy.applies_at_once
            )
        except FailureError as error:
            if cause := final_cause(error):
                await self._close(self._closing(State.APPLY_FAILED, cause.message, SYSTEM.label))
            else:
                await self._close(self._closing(State.EXPIRED, _lapsed(window), SYSTEM.label))
        else:
            self._enter(State.APPLIED, self._state_reason)

    async def _close(self, closing: CloseRequest) -> None:
        standing = await self._record_close(closing)
        self._enter(standing.state, standing.state_reason)

    async def _record_close(self, closing: CloseRequest) -> Standing:
        return await patiently(RequestActivities.close_request, closing)

    async def _have_done(
        self,
        doing: Doing[Given, Answer],
        given: Given,
        patience: Patience = ENDLESS,
        *,
        quick: bool = True,
    ) -> Answer:
        """``quick``: a single transaction. Raises: FailureError: for good, or for too long."""
        if quick:
            try:
                return await at_once(doing, given)
            except FailureError as error:
                if final_cause(error):
                    raise
        self._show()  # for as long as it takes
        return await patiently(doing, given, patience, summary=self._subject.label)


def superseded_by(label: str) -> str:
    return f"A newer request took its place: {label}."


def _lapsed(window: timedelta) -> str:
    return (
        f"It was approved, but could not be applied within {window}; the approval has lapsed. "
        "Nothing was changed; ask again."
    )
