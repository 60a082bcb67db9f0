"""Several things at once: they reach the workflow together, in every order there is."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import permutations
from typing import Literal
from uuid import uuid4

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage
from temporalio.api.update.v1 import UpdateRef, WaitPolicy
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest
from temporalio.service import RPCError, RPCStatusCode

from mcpbox.domain.commands import DecideCommand, WithdrawCommand
from mcpbox.domain.decisions import Channel
from mcpbox.domain.errors import DomainError, NotFound, RequestFinished
from mcpbox.domain.people import Principal
from mcpbox.domain.requests import Outcome, RequestDetail, State
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.session import make_sessions
from mcpbox.temporal import Message
from tests.integration.requests.conftest import ADA, ANA, AUTHOR, GateTo, Office, a_decision
from tests.integration.requests.hosts_asked import (
    PATIENCE,
    a_server,
    asked,
    grants_of,
    outcome_of,
    revision_of,
    superseded,
)
from tests.integration.requests.shifts import Clumsy, Forgetful, own_queue, shift
from tests.reviewing import eventually

Move = Literal["approve", "deny", "withdraw", "supersede", "expire", "revise"]
MOVES: tuple[Move, ...] = ("approve", "deny", "withdraw", "supersede", "expire", "revise")
ORDERS_OF_TWO = list(permutations(MOVES, 2))
LEADS_TO: dict[str, State] = {
    "approve": State.APPLIED,
    "deny": State.DENIED,
    "withdraw": State.WITHDRAWN,
    "supersede": State.SUPERSEDED,
    "expire": State.EXPIRED,
}
_ANY_STAGE = (
    UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_UNSPECIFIED
)


@dataclass
class Race:
    """One request, and what was sent to it while nobody worked."""

    office: Office
    request: RequestDetail
    order: Sequence[Move]

    def __post_init__(self) -> None:
        self.answers: dict[str, asyncio.Task[Outcome]] = {}
        self.waiting: list[asyncio.Task[bool]] = []

    async def send(self) -> None:
        """A clock is moved while nothing is to be done: at once, or after what was sent before."""
        workflow = self.office.workflow(self.request)
        for move in self.order:
            match move:
                case "supersede":
                    await superseded(self.office, self.request)
                case "expire":
                    passing = self.office.env.fast_forward(workflow, timedelta(days=8))
                    self.waiting.append(asyncio.create_task(passing))
                    if move == self.order[0]:
                        await self._fired()
                case "approve":
                    await self._ask(move, Message.DECIDE, self._decision(ANA, Verdict.APPROVE))
                case "deny":
                    await self._ask(move, Message.DECIDE, self._decision(ADA, Verdict.DENY))
                case "withdraw":
                    await self._ask(move, Message.WITHDRAW, WithdrawCommand(by=AUTHOR))
                case "revise":
                    await self._ask(move, Message.REVISE, revision_of(self.request, 2))

    async def assert_one_of_them_won(self) -> None:
        answers = {move: await answer_of(task) for move, task in self.answers.items()}
        found = await self._settled()
        await asyncio.gather(*self.waiting)
        told = (self.order, answers, found.state, found.state_reason)

        winners = [move for move in self.order if LEADS_TO.get(move) is found.state]
        accepted = {move for move, answer in answers.items() if isinstance(answer, Outcome)}
        assert len(winners) == found.state.terminal, told
        assert accepted - {"revise"} <= set(winners), told
        assert all(str(a) for a in answers.values() if not isinstance(a, Outcome)), told
        if not found.state.terminal:
            # What is left are decisions about what was asked before.
            assert found.round == 2, told
            assert set(self.order) <= {"revise", "approve", "deny"}, told
        decided = found.state in (State.APPLIED, State.DENIED)
        assert len(found.decisions) == decided, told
        assert await grants_of(self.office, self.request) == (found.state is State.APPLIED), told
        outcome = await eventually(partial(self._same, found))
        if found.state.terminal:
            result = await self.office.workflow(self.request).result()
            assert Outcome.model_validate(result) == outcome

    async def _same(self, found: RequestDetail) -> Outcome | None:
        """The workflow learns a moment later what it had written."""
        outcome = await outcome_of(self.office, self.request)
        same = (outcome.state, outcome.state_reason) == (found.state, found.state_reason)
        return outcome if same else None

    async def _settled(self) -> RequestDetail:
        """When nothing is on its way any more."""
        only_asked = set(self.order) <= {"revise", "approve", "deny"}

        async def reached() -> RequestDetail | None:
            found = await self.office.requests.get(self.request.id)
            waits = found.state is State.AWAITING_DECISION and found.round == 2
            return found if found.state.terminal or (only_asked and waits) else None

        return await eventually(reached)

    def _decision(self, by: Principal, verdict: Verdict) -> DecideCommand:
        draft = a_decision(self.request, verdict)
        return DecideCommand(draft=draft, reviewer=by, channel=Channel.API)

    async def _ask(self, move: Move, message: Message, command: BaseModel) -> None:
        update_id = f"{move}:{uuid4()}"
        gate = GateTo(self.office.env.client)
        self.answers[move] = asyncio.create_task(
            gate.update(
                self.request.workflow_id,
                message,
                command,
                Outcome,
                update_id=update_id,
                patience=PATIENCE,
            )
        )
        await self._arrived(update_id)

    async def _fired(self) -> None:
        """Its hour has come; nobody has been there to notice."""

        async def found() -> bool:
            events = self.office.workflow(self.request).fetch_history_events()
            return any([event.HasField("timer_fired_event_attributes") async for event in events])

        await eventually(found)

    async def _arrived(self, update_id: str) -> None:
        """At the server, which keeps it for the worker that comes."""
        client = self.office.env.client
        asking = PollWorkflowExecutionUpdateRequest(
            namespace=client.namespace,
            update_ref=UpdateRef(
                workflow_execution=WorkflowExecution(workflow_id=self.request.workflow_id),
                update_id=update_id,
            ),
            wait_policy=WaitPolicy(lifecycle_stage=_ANY_STAGE),
        )

        async def known() -> bool:
            try:
                await client.workflow_service.poll_workflow_execution_update(asking)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return False
            return True

        await eventually(known)


async def answer_of(task: asyncio.Task[Outcome]) -> Outcome | DomainError:
    [answer] = await asyncio.gather(task, return_exceptions=True)
    if isinstance(answer, NotFound):
        # As every face says it: it ended between their look and their question.
        return RequestFinished(State.WITHDRAWN)
    assert isinstance(answer, Outcome | DomainError), repr(answer)
    return answer


async def raced(office: Office, queue: str, orders: Sequence[Sequence[Move]]) -> None:
    server = await a_server(office)
    # So many at once need more connections than the office has.
    sessions = make_sessions(office.database.url)
    async with shift(office, queue, sessions=sessions):
        requests = await asyncio.gather(*(asked(office, server) for _ in orders))
    races = [Race(office, *one) for one in zip(requests, orders, strict=True)]
    await asyncio.gather(*(race.send() for race in races))
    async with shift(office, queue, sessions=sessions):
        await asyncio.gather(*(race.assert_one_of_them_won() for race in races))
    await sessions.kw["bind"].dispose()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("first", MOVES)
async def test_i2_of_three_things_at_once_exactly_one_ends_a_request(
    office: Office, monkeypatch: pytest.MonkeyPatch, first: Move
) -> None:
    """The worker was away, and finds all three together."""
    orders = [order for order in permutations(MOVES, 3) if order[0] == first]

    await raced(office, own_queue(monkeypatch), orders)


@pytest.mark.timeout(240)
async def test_i2_of_two_things_at_once_one_ends_it_though_the_worker_forgets_all_it_did(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after every transaction and before every task: each is done twice, and counts once.

    One after the other: a worker that forgets at once has no place for two that are at work.
    """
    queue = own_queue(monkeypatch)
    async with shift(office, queue):
        server = await a_server(office)
        requests = await asyncio.gather(*(asked(office, server) for _ in ORDERS_OF_TWO))
    monkeypatch.setattr("activities.worker.Worker", Forgetful)
    for request, order in zip(requests, ORDERS_OF_TWO, strict=True):
        race = Race(office, request, order)
        await race.send()
        async with shift(office, queue, interceptors=[Clumsy()]):
            await race.assert_one_of_them_won()
