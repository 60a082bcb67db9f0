"""The request workflow against a model of it: whatever people do, in whatever order."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mcpbox.domain.comments import CommentDraft
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.errors import DomainError
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.requests import Outcome, RequestDetail, State
from mcpbox.domain.review import Separation
from mcpbox.domain.review_policy import Override, ReviewPolicy
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.tables.people import UserRow
from mcpbox.temporal import Message
from tests.factories import NOW, OTHER_DIGEST
from tests.integration.requests.conftest import ADA, ANA, VIC, Office, a_decision
from tests.integration.requests.hosts_asked import (
    a_server,
    asked,
    grants_of,
    outcome_of,
    revised,
    superseded,
)
from tests.integration.requests.request_model import PEOPLE, Model
from tests.integration.requests.test_policy import policy_in_force
from tests.reviewing import eventually

SCRIPTS = int(os.environ.get("SCRIPTS", "30"))
"""How many are tried: the same ones each time, unless the number is given."""
ROB = Principal(kind=PrincipalKind.PERSON, name="rob", roles=frozenset({Role.REVIEWER}))
PERSONS = {person.name: person for person in (ANA, ROB, ADA, VIC)}


@dataclass(frozen=True)
class Decide:
    by: str
    verdict: Verdict
    saw: Literal["this", "another"]
    channel: Literal["api", "signal"]


@dataclass(frozen=True)
class Again:
    """The newest decision is sent once more, as by a client that got no answer."""


@dataclass(frozen=True)
class Undo:
    """Whoever voted last takes that back."""


@dataclass(frozen=True)
class Act:
    """What takes nothing but somebody who does it."""

    what: Literal["retract", "revise", "comment", "withdraw"]
    by: str


@dataclass(frozen=True)
class Happen:
    what: Literal["supersede", "expire"]


Step = Decide | Again | Undo | Act | Happen

people = st.sampled_from(PEOPLE)
# What ends a request comes seldom, or most of a script would be about one that has ended.
decisions = st.builds(
    Decide,
    people,
    st.sampled_from([*Verdict, Verdict.APPROVE, Verdict.REQUEST_CHANGES, Verdict.REQUEST_CHANGES]),
    st.sampled_from(["this", "this", "this", "another"]),
    st.sampled_from(["api", "api", "signal"]),
)
acts = st.builds(Act, st.sampled_from(["retract", "revise", "comment"]), people)
ends = st.one_of(
    st.builds(Act, st.just("withdraw"), people),
    st.builds(Happen, st.sampled_from(["supersede", "expire"])),
)
undone = st.just(Undo())
steps: st.SearchStrategy[Step] = st.one_of(
    decisions, decisions, decisions, decisions, undone, undone, acts, acts, st.just(Again()), ends
)


@dataclass
class Played:
    """One request, and the model beside it."""

    office: Office
    request: RequestDetail
    model: Model
    newest: tuple[str, DecisionDraft, str] | None = None
    """Who sent it, the decision, and what came of it."""

    async def play(self, step: Step) -> None:
        match step:
            case Decide(channel="signal"):
                await self._signal(step)
            case Decide():
                await self._decide(step)
            case Again():
                await self._again()
            case Undo():
                await self._undo()
            case Act():
                await self._act(step)
            case Happen():
                await self._happen(step)

    async def agrees(self) -> None:
        """The projection, the workflow, the events and the effect are what the model says."""
        model = self.model

        async def written() -> bool:
            # What comes by signal or by a timer is not waited for by anybody.
            history = (await self.office.requests.get(self.request.id)).history
            return len(history) >= len(model.events)

        await eventually(written)
        # Read anew: what was read before its events may be older than they are.
        found = await self.office.requests.get(self.request.id)
        assert [entry.action.removeprefix("request:") for entry in found.history] == model.events
        assert (found.state, found.round) == (model.state, model.round)
        counted = {
            vote.reviewer: vote.verdict
            for vote in found.decisions
            if vote.round == found.round and vote.retracted_at is None
        }
        assert counted == model.votes
        outcome = await outcome_of(self.office, self.request)
        assert (outcome.state, outcome.state_reason) == (found.state, found.state_reason)
        assert await grants_of(self.office, self.request) == (model.state == "applied")
        self.request = found

    async def _decide(self, step: Decide) -> None:
        draft = self._draft(step)
        expected = self.model.decide(step.by, step.verdict, is_current=step.saw == "this")
        assert await answer_to(lambda: self._send(step.by, draft)) == expected
        if not expected[0].isupper():
            self.newest = (step.by, draft, expected)

    async def _again(self) -> None:
        """It answers what it answered, or how things stand, and changes nothing."""
        if self.newest is None:
            return
        by, draft, first = self.newest
        answer = await answer_to(lambda: self._send(by, draft))
        assert answer in (first, self.model.state, "RequestFinished")
        if answer == "RequestFinished":
            self.model.events.append("decision:refused")

    async def _undo(self) -> None:
        if self.model.votes:
            await self._act(Act("retract", list(self.model.votes)[-1]))

    async def _signal(self, step: Decide) -> None:
        if self.model.closed:
            return
        draft = self._draft(step).model_dump(mode="json", include={"id", "verdict", "reason"})
        draft |= {"reviewer": step.by, "seen_digest": self._digest(step)}
        await self.office.workflow(self.request).signal(Message.DECIDE, draft)
        self.model.decide(step.by, step.verdict, is_current=step.saw == "this")

    async def _act(self, step: Act) -> None:
        by, requests = PERSONS[step.by], self.office.requests
        match step.what:
            case "retract":
                expected = self.model.retract(step.by)
                doing = lambda: requests.retract(by, Channel.API, self.request.id)  # noqa: E731
            case "withdraw":
                expected = self.model.withdraw(step.by)
                doing = lambda: requests.withdraw(by, self.request.id)  # noqa: E731
            case "revise":
                expected = self.model.revise(step.by)
                number = self.model.round
                doing = lambda: self._revised(number, by)  # noqa: E731
            case "comment":
                self.model.comment()
                await requests.comment(by, self.request.id, CommentDraft(text="Why?"))
                return
        assert await answer_to(doing) == expected

    async def _revised(self, number: int, by: Principal) -> Outcome:
        await revised(self.office, self.request, number, by=by)
        await self.office.when(self.request, State.AWAITING_DECISION)
        return await outcome_of(self.office, self.request)

    async def _happen(self, step: Happen) -> None:
        if self.model.closed:
            return
        workflow = self.office.workflow(self.request)
        if step.what == "supersede":
            await superseded(self.office, self.request)
            self.model.end("superseded")
        else:
            await self.office.env.fast_forward(workflow, timedelta(days=8))
            self.model.end("expired")

    def _draft(self, step: Decide) -> DecisionDraft:
        return a_decision(self.request, step.verdict, seen=self._digest(step))

    def _digest(self, step: Decide) -> Any:
        return self.request.digest if step.saw == "this" else OTHER_DIGEST

    async def _send(self, by: str, draft: DecisionDraft) -> Outcome:
        return await self.office.decide(self.request, by=PERSONS[by], draft=draft)


async def answer_to(doing: Callable[[], Awaitable[Outcome]]) -> str:
    """The state it led to, or the name of the error; which always says why."""
    try:
        return (await doing()).state
    except DomainError as error:
        return type(error).__name__ if str(error) else "an error without a reason"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(office: Office) -> AsyncGenerator[dict[tuple[int, bool], ServerId]]:
    """``{(quorum, separated): a server with such a policy}``"""
    async with office.database.sessions.begin() as session:
        session.add(
            UserRow(
                id=uuid4(),
                username=ROB.name,
                password_hash="",
                roles=list(ROB.roles),
                active=True,
                created_at=NOW,
            )
        )
    names = {
        (quorum, apart): f"q{quorum}_{apart:d}" for quorum in (1, 2) for apart in (False, True)
    }
    overrides = tuple(
        Override(
            name=name,
            servers=(name,),
            approvals=quorum,
            separation=Separation.AUTHOR if apart else Separation.OFF,
        )
        for (quorum, apart), name in names.items()
    )
    await policy_in_force(office, ReviewPolicy(overrides=overrides))
    yield {terms: await a_server(office, name) for terms, name in names.items()}


@pytest.mark.timeout(300)
@settings(
    max_examples=SCRIPTS,
    derandomize="SCRIPTS" not in os.environ,
    # A script is short enough to read, and to make it shorter takes minutes.
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    quorum=st.sampled_from([1, 2, 2]),
    separated=st.booleans(),
    script=st.lists(steps, min_size=1, max_size=9),
)
async def test_a_request_does_what_the_model_does_whatever_comes_in_which_order(
    office: Office,
    servers: dict[tuple[int, bool], ServerId],
    quorum: int,
    separated: bool,
    script: list[Step],
) -> None:
    request = await asked(office, servers[quorum, separated], by=ANA)
    played = Played(office, request, Model(ANA.name, quorum, separated))

    await played.agrees()
    for step in script:
        await played.play(step)
        await played.agrees()
