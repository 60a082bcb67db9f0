"""The state of one request while it lives, and all that follows from it."""

import asyncio
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from mcpbox import temporal
    from mcpbox.domain.manifests import Needs
    from mcpbox.domain.requests import Outcome, State
    from mcpbox.domain.review import ReviewTerms
    from mcpbox.policies.review import RequestFacts
    from workflows.contracts import (
        Carried,
        CloseRequest,
        Examination,
        PresentedRequest,
        PresentRequest,
        RevisedRequest,
        StartRequest,
    )
    from workflows.details import details
    from workflows.kinds import strategy_of

ROUNDS_PER_RUN = 10
"""So many revisions later, a request goes on in a new run with a new history."""


class RequestState:
    """Whole once it is made: what runs before the first activity may rely on every field."""

    def __init__(self, start: StartRequest) -> None:
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
        # While it lasts, people may already see in the database what is not yet known here.
        self._presenting = False
        self._reminded = 0
        self._escalated = False
        self._signalled = 0
        self._ending: CloseRequest | None = None
        self._outcome: Outcome | None = None
        self._shown: list[SearchAttributeUpdate[Any]] = []
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
        self._signalled = carried.signalled
        self._recorded = True

    def _take_up_round(self, revised: RevisedRequest) -> None:
        self._round = self._first_round = revised.round
        self._subject, self._digest = revised.subject, revised.digest
        self._strategy = strategy_of(revised.subject)

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
            signalled=self._signalled,
        )
        return self._draft.model_copy(update={"carried": carried})

    def _wants_a_new_run(self) -> bool:
        """Only while people decide: then all that matters fits into :class:`Carried`."""
        long = (
            self._round - self._first_round >= ROUNDS_PER_RUN
            or workflow.info().is_continue_as_new_suggested()
        )
        return long and self._state.decidable and self._ending is None

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
        if state is not State.APPROVED:
            # That one is applied next, mostly within the same workflow task.
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
            grants_alone=self._subject.kind.grants,
        )

    def _terms(self) -> ReviewTerms:
        """As the draft has them, until it is presented."""
        draft = self._draft
        if self._presented is None:
            return draft.terms or ReviewTerms(approvals=draft.quorum, ttl=draft.ttl)
        return self._presented.terms

    def _frozen_terms(self) -> ReviewTerms | None:
        """Of the version that is asked for again; a revision is judged as any other is."""
        return self._draft.terms if self._round == 1 else None

    def _expires_at(self) -> datetime:
        return self._opened_at + self._terms().ttl

    def _examination(self) -> Examination:
        return Examination(request_id=self._draft.id, subject=self._subject, digest=self._digest)

    def _to_present(self) -> PresentRequest:
        return PresentRequest(
            **self._examination().model_dump(),
            expected=self._strategy.expected,
            terms=self._frozen_terms(),
        )

    def _show(self) -> None:
        """Search attributes and details make the Temporal Web UI an audit tool."""
        updates = [temporal.STATE.value_set(self._state)]
        if self._presented is not None:
            updates.append(temporal.RISK.value_set(self._presented.risk))
        if updates != self._shown:
            workflow.upsert_search_attributes(updates)
            self._shown = updates
        workflow.set_current_details(
            details(
                self._draft.model_copy(update={"subject": self._subject, "digest": self._digest}),
                self._so_far(),
                self._presented,
                expires_at=self._expires_at(),
            )
        )
