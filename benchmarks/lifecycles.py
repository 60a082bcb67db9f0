"""Requests from the ask to their effect, beside a bare workflow on the same server.

A request for a host is what is measured: its evidence is read from the database, so that what
counts is the engine, and not the trial of some code.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import anyio
from sqlalchemy import select
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.bare_workflow import DECIDE, QUEUE, WORKFLOW, bare_worker
from benchmarks.instance import Installation
from benchmarks.processes import cpu_s
from benchmarks.samples import BenchmarkFailed, Latency, latency_of, percentile
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.errors import Unavailable
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import DecisionId, RequestId, ServerId
from mcpbox.domain.people import Principal, PrincipalKind, Role, Scope
from mcpbox.domain.requests import RequestSummary, State
from mcpbox.domain.verdicts import Verdict
from mcpbox.news import RequestNews
from mcpbox.store.changes import Changes, Topic
from mcpbox.store.session import Sessions, make_sessions, reading
from mcpbox.store.tables.requests import RequestRow
from mcpbox.temporal import TemporalGate
from mcpbox.usecases.network import Network
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.servers import Servers

_AUTHOR = Principal(kind=PrincipalKind.CLIENT, name="bench", scopes=frozenset({Scope.AUTHOR}))
_ADMIN = Principal(kind=PrincipalKind.PERSON, name="admin", roles=frozenset({Role.ADMIN}))
_PATIENCE_S = 120.0
_LOOK_AGAIN_S = 1.0
"""Where no news comes of what somebody waits for."""
_READING_S = 0.1
"""Nobody decides before the workflow task that shows it has ended; both have ended theirs."""
_AT_ONCE = (1, 16, 64)
_SERVERS = 64
"""So that none is granted hundreds of hosts, whoever asks, and no two wait for the same one."""
_FEW_WAITING = 10
_ASKED_AT_ONCE = 64

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Effort:
    samples: int
    """Of one lifecycle after the other, ours and bare ones in turns."""
    turns: int
    """Of ours and the floor, at each number at once."""
    lifecycles: int
    """In each turn."""
    waiting: int
    """How many requests wait while others are decided."""


@dataclass(frozen=True)
class Rate:
    per_second: float
    floor_per_second: float
    of_floor: float


@dataclass(frozen=True)
class Lifecycles:
    request_to_waiting: Latency
    decision_to_applied: Latency
    floor_decision: Latency
    """One update and one local activity."""
    applied_to_floor: float
    """At the median; the aim is 2.5 at most."""
    rates: dict[str, Rate]
    """By how many run at once; the aim is 0.4 of the floor at least."""
    waiting: int
    decided_among_few: Latency
    """With ten others waiting."""
    decided_among_many: Latency
    many_to_few: float
    """At the median; the aim is 1: flat."""
    events: int
    """In the history of one request."""
    workflow_tasks: int
    activities: int
    """Scheduled through the server; local ones are not."""
    floor_events: int
    cpu_ms: dict[str, float]
    """``{process: milliseconds of CPU time per lifecycle}``, one at a time."""


class Desk:
    """An author who asks for hosts and an admin who decides, without a face in between."""

    def __init__(
        self, sessions: Sessions, gate: TemporalGate, news: RequestNews, bare: Client
    ) -> None:
        """``bare``: without the codec of ours, for what is no request."""
        self._sessions = sessions
        self._news = news
        self._servers = Servers(sessions)
        self._requests = Requests(sessions, gate, ttl=timedelta(days=7), news=news)
        self._network = Network(sessions, self._requests)
        self._bare = bare

    async def server(self) -> ServerId:
        made = await self._servers.create(
            _AUTHOR, name=f"s{uuid4().hex[:10]}", description="Benchmarks."
        )
        return ServerId(made.id)

    async def ask(self, server: ServerId) -> RequestSummary:
        """Answers when it waits for a decision."""
        access = HostAccess(host=f"h{uuid4().hex[:12]}.example.com")
        asked = await self._network.request_access(
            _AUTHOR, server, access, justification="A benchmark."
        )
        if asked.state is not State.AWAITING_DECISION:
            await self._when(asked.id, State.AWAITING_DECISION)
        return asked

    async def approve(self, asked: RequestSummary) -> None:
        """Answers when it is applied."""
        draft = DecisionDraft(
            id=DecisionId(uuid4()), verdict=Verdict.APPROVE, seen_digest=asked.digest
        )
        try:
            outcome = await self._requests.decide(_ADMIN, Channel.CLI, asked.id, draft)
        except Unavailable:
            # Too busy to answer in time; a decision that is on record takes effect all the same.
            outcome = None
        if outcome is None or outcome.state is not State.APPLIED:
            await self._when(asked.id, State.APPLIED)

    async def history(self, workflow_id: str) -> Counter[EventType.ValueType]:
        history = await self._bare.get_workflow_handle(workflow_id).fetch_history()
        return Counter(event.event_type for event in history.events)

    async def start_bare(self) -> str:
        workflow_id = f"floor/{uuid4()}"
        await self._bare.start_workflow(WORKFLOW, id=workflow_id, task_queue=QUEUE)
        return workflow_id

    async def decide_bare(self, workflow_id: str) -> None:
        await self._bare.get_workflow_handle(workflow_id).execute_update(DECIDE, "approve")

    async def _when(self, request_id: RequestId, state: State) -> None:
        """Raises: BenchmarkFailed: it never is."""
        try:
            with self._news.of(request_id) as ear:
                async with asyncio.timeout(_PATIENCE_S):
                    while await self._state(request_id) is not state:
                        with anyio.move_on_after(_LOOK_AGAIN_S):
                            await ear.next()
        except TimeoutError as error:
            raise BenchmarkFailed(f"A request is not {state} after {_PATIENCE_S} s.") from error

    async def _state(self, request_id: RequestId) -> State | None:
        async with reading(self._sessions) as session:
            found = await session.scalar(
                select(RequestRow.state).where(RequestRow.id == request_id)
            )
        return None if found is None else State(found)


async def measure_lifecycles(installation: Installation, effort: Effort) -> Lifecycles:
    with bare_worker(installation.temporal_target) as floor_pid:
        async with _desk_of(installation) as desk:
            pids = installation.pids()
            working = {name: pids[name] for name in ("worker", "temporal", "postgres")}
            return await _measure(desk, effort, working | {"floor": floor_pid})


async def _measure(desk: Desk, effort: Effort, working: dict[str, int]) -> Lifecycles:
    server = await desk.server()
    await desk.approve(await desk.ask(server))  # warms up what is made once
    await desk.decide_bare(await desk.start_bare())
    waits, decisions, bare = await _in_turns(desk, server, effort.samples)
    before = {name: cpu_s(pid) for name, pid in working.items()}
    last = await _alone(desk, effort.samples)
    spent = {name: cpu_s(pid) - before[name] for name, pid in working.items()}
    rates = {str(count): await _rate(desk, count, effort) for count in _AT_ONCE}
    few = await _decided_among(desk, _FEW_WAITING, effort.samples)
    many = await _decided_among(desk, effort.waiting - _FEW_WAITING, effort.samples)
    events = await desk.history(last.workflow_id)
    bare_id = await desk.start_bare()
    await desk.decide_bare(bare_id)
    floor_events = await desk.history(bare_id)
    return Lifecycles(
        request_to_waiting=latency_of(waits),
        decision_to_applied=latency_of(decisions),
        floor_decision=latency_of(bare),
        applied_to_floor=_ratio(decisions, bare),
        rates=rates,
        waiting=effort.waiting,
        decided_among_few=latency_of(few),
        decided_among_many=latency_of(many),
        many_to_few=_ratio(many, few),
        events=events.total(),
        workflow_tasks=events[EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED],
        activities=events[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED],
        floor_events=floor_events.total(),
        cpu_ms={
            name: round(seconds * 1000 / effort.samples, 1)
            for name, seconds in spent.items()
            if name != "floor"
        },
    )


async def _in_turns(
    desk: Desk, server: ServerId, samples: int
) -> tuple[list[float], list[float], list[float]]:
    """Ours and the floor one after the other, so that a busy machine burdens both alike."""
    waits: list[float] = []
    decisions: list[float] = []
    bare: list[float] = []
    for _ in range(samples):
        asked = await _timed(waits, desk.ask(server))
        workflow_id = await desk.start_bare()
        await asyncio.sleep(_READING_S)
        await _timed(decisions, desk.approve(asked))
        # Else it would find a machine that is awake, and ours one that was not.
        await asyncio.sleep(_READING_S)
        await _timed(bare, desk.decide_bare(workflow_id))
    return waits, decisions, bare


async def _alone(desk: Desk, samples: int) -> RequestSummary:
    """The last of them."""
    server = await desk.server()
    asked = await desk.ask(server)
    for _ in range(samples - 1):
        await desk.approve(asked)
        asked = await desk.ask(server)
    await desk.approve(asked)
    return asked


async def _rate(desk: Desk, at_once: int, effort: Effort) -> Rate:
    """In turns, as above, and once so many have run at once: what is opened for them stays open."""
    servers = [await desk.server() for _ in range(_SERVERS)]
    own = [itertools.cycle(servers[number::at_once]) for number in range(at_once)]

    async def ours(number: int) -> None:
        await desk.approve(await desk.ask(next(own[number])))

    async def bare(_: int) -> None:
        await desk.decide_bare(await desk.start_bare())

    count = max(effort.lifecycles, at_once)
    took_s, floor_took_s = 0.0, 0.0
    await _took_s(ours, at_once, at_once)
    await _took_s(bare, at_once, at_once)
    for _ in range(effort.turns):
        took_s += await _took_s(ours, at_once, count)
        floor_took_s += await _took_s(bare, at_once, count)
    per_second = effort.turns * count / took_s
    floor_per_second = effort.turns * count / floor_took_s
    return Rate(
        per_second=round(per_second, 2),
        floor_per_second=round(floor_per_second, 2),
        of_floor=round(per_second / floor_per_second, 3),
    )


async def _took_s(lifecycle: Callable[[int], Awaitable[None]], at_once: int, count: int) -> float:
    """``count`` in all."""
    left = count
    began = time.perf_counter()

    async def work(number: int) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await lifecycle(number)

    await asyncio.gather(*map(work, range(at_once)))
    return time.perf_counter() - began


async def _decided_among(desk: Desk, more: int, samples: int) -> Sequence[float]:
    """After so many more requests wait, for as long as the instance lives."""
    servers = [await desk.server() for _ in range(_ASKED_AT_ONCE)]

    async def wait(number: int) -> None:
        await desk.ask(servers[number])

    if more > 0:
        await _took_s(wait, min(more, _ASKED_AT_ONCE), more)
    server = await desk.server()
    durations: list[float] = []
    for _ in range(samples):
        asked = await desk.ask(server)
        await asyncio.sleep(_READING_S)
        await _timed(durations, desk.approve(asked))
    return durations


async def _timed(durations: list[float], doing: Awaitable[Answer]) -> Answer:
    began = time.perf_counter()
    answer = await doing
    durations.append(time.perf_counter() - began)
    return answer


def _ratio(durations: Sequence[float], floor: Sequence[float]) -> float:
    return round(percentile(durations, 50) / percentile(floor, 50), 2)


@asynccontextmanager
async def _desk_of(installation: Installation) -> AsyncGenerator[Desk]:
    sessions = make_sessions(installation.database_url)
    gate = TemporalGate(installation.temporal_target, "default", installation.temporal_keys)
    news = RequestNews()

    def tell(topic: Topic, key: str) -> None:
        if topic is Topic.REQUESTS:
            news.changed(key)

    changes = Changes(installation.database_url, tell, lambda: None)
    listening = asyncio.create_task(changes.run())
    try:
        yield Desk(sessions, gate, news, await Client.connect(installation.temporal_target))
    finally:
        listening.cancel()
        await sessions.kw["bind"].dispose()


def rows_of(found: Lifecycles) -> list[list[str]]:
    rows = [["requests", "samples", "p50 ms", "p99 ms", "of floor"]]
    for name, latency, ratio in (
        ("request to waiting", found.request_to_waiting, ""),
        ("decision to applied", found.decision_to_applied, f"{found.applied_to_floor:.2f}"),
        ("update and local activity", found.floor_decision, "1.00"),
        (f"decided among {_FEW_WAITING}", found.decided_among_few, ""),
        (f"decided among {found.waiting}", found.decided_among_many, ""),
    ):
        p50, p99 = f"{latency.p50_ms:.1f}", f"{latency.p99_ms:.1f}"
        rows.append([name, str(latency.samples), p50, p99, ratio])
    rows.append(["many / few", "", f"{found.many_to_few:.2f}"])
    rows.append(["lifecycles/s", "at once", "ours", "floor", "of floor"])
    for at_once, rate in found.rates.items():
        both = (f"{rate.per_second:.1f}", f"{rate.floor_per_second:.1f}")
        rows.append(["", at_once, *both, f"{rate.of_floor:.2f}"])
    rows.append(["history", "events", "workflow tasks", "activities", "CPU ms"])
    cpu = ", ".join(f"{name} {spent:.0f}" for name, spent in found.cpu_ms.items())
    rows.append(["of one", *map(str, (found.events, found.workflow_tasks, found.activities)), cpu])
    return [*rows, ["of the floor", str(found.floor_events)]]
