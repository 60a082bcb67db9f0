"""A part is away: the caller is told which, nothing is half-done, and it mends by itself."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import pytest

from cli.instance import Instance
from cli.processes import family
from cli.state import read_state
from tests.e2e.leaks import assert_tells_nothing_inside
from tests.instances import Installed, started_instance
from tests.mcp_clients import Author, Draft, author_on
from tests.reviewing import Reviewer, eventually

Absence = Literal["hangs", "is gone"]
ABSENCES: tuple[Absence, ...] = ("hangs", "is gone")
SAMPLE = {"a": 1}


@pytest.fixture(scope="module")
def frail() -> Generator[Installed]:
    """An instance of its own: nobody else's test should miss a part."""
    with started_instance() as running:
        yield running


@asynccontextmanager
async def away(frail: Installed, service: str, how: Absence) -> AsyncGenerator[None]:
    """The service is stopped, or killed and not started again, while the body runs."""
    before = await asyncio.to_thread(frail.status)
    pid = before[service]["pid"]
    if how == "hangs":
        relatives = [relative.pid for relative in family({pid})]
        for each in relatives:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in relatives:
                os.kill(each, signal.SIGCONT)
        return
    state = read_state(Instance(frail.settings).state_file)
    assert state is not None
    os.kill(state.supervisor_pid, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        yield
    finally:
        os.kill(state.supervisor_pid, signal.SIGCONT)
    await asyncio.to_thread(frail.wait_until_restarted, {service: before[service]["restarts"]})


@dataclass(frozen=True)
class Scene:
    """A tool that can be called, a request that waits, and a tool that nobody asked for yet."""

    author: Author
    reviewer: Reviewer
    callable_name: str
    callable_id: str
    waiting: dict[str, Any]
    draft: Draft


@asynccontextmanager
async def scene(frail: Installed) -> AsyncGenerator[Scene]:
    async with author_on(frail) as author, frail.api() as api:
        reviewer = Reviewer(api)
        released, waiting, draft = [await author.draft() for _ in range(3)]
        request_id = await author.ask(waiting, sample_arguments=SAMPLE)
        await reviewer.approve(await author.ask(released, sample_arguments=SAMPLE))

        async def listed() -> bool:
            return released.callable_name in await author.tool_names()

        await eventually(listed)
        yield Scene(
            author,
            reviewer,
            released.callable_name,
            released.tool_id,
            await reviewer.when(request_id, "awaiting_decision"),
            draft,
        )


def assert_named(frail: Installed, part: str, *texts: str) -> None:
    for text in texts:
        assert f"{part} is not reachable" in text
        assert_tells_nothing_inside(frail, text)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("how", ABSENCES)
async def test_without_temporal_asking_and_deciding_say_so_and_work_again_afterwards(
    frail: Installed, how: Absence
) -> None:
    decision = {"id": str(uuid4())}
    async with scene(frail) as given:
        author, reviewer = given.author, given.reviewer
        async with away(frail, "temporal", how):
            asked, decided = await asyncio.gather(
                author.failure("mcpbox_request_publish", tool_id=given.draft.tool_id),
                reviewer.decide(given.waiting, **decision),
            )
            assert decided.status_code == 503
            assert_named(frail, "Temporal", asked, decided.json()["detail"])
            # What people approved goes on working, and nothing is half-done.
            assert await author.call(given.callable_name, **SAMPLE) == {"sum": 3}
            status = await author.call("mcpbox_get_tool_status", tool_id=given.draft.tool_id)
            assert (status["approval_status"], status["request"]) == ("draft", None)
            assert (await reviewer.request(given.waiting["id"]))["decisions"] == []

        async def decided_again() -> bool:
            return (await reviewer.decide(given.waiting, **decision)).status_code == 201

        await eventually(decided_again)
        assert len((await reviewer.when(given.waiting["id"], "applied"))["decisions"]) == 1
        request_id = await author.ask(given.draft, sample_arguments=SAMPLE)
        await reviewer.when(request_id, "awaiting_decision")
        requests = await reviewer.get(f"/requests?tool_id={given.draft.tool_id}")
        assert [request["id"] for request in requests["items"]] == [request_id]


@pytest.mark.timeout(90)
async def test_what_is_asked_and_decided_while_the_worker_is_away_takes_effect_when_it_is_back(
    frail: Installed,
) -> None:
    decision = {"id": str(uuid4())}
    async with scene(frail) as given:
        async with away(frail, "worker", "hangs"):
            asked, decided = await asyncio.gather(
                given.author.call(
                    "mcpbox_request_publish",
                    tool_id=given.draft.tool_id,
                    sample_arguments=SAMPLE,
                ),
                given.reviewer.decide(given.waiting, **decision),
            )
            assert asked["state"] == "gathering"
            assert decided.status_code == 503
            assert_named(frail, "The worker", decided.json()["detail"])
            assert "same id" in decided.json()["detail"]

        await given.reviewer.when(asked["request_id"], "awaiting_decision")
        again = await given.reviewer.decide(given.waiting, **decision)
        assert (again.status_code, again.json()["state"]) == (201, "applied")
        assert len((await given.reviewer.request(given.waiting["id"]))["decisions"]) == 1


@pytest.mark.timeout(90)
async def test_without_the_sandbox_runs_say_so_and_evidence_waits_for_it(
    frail: Installed,
) -> None:
    async with scene(frail) as given:
        author = given.author
        async with away(frail, "sandbox", "is gone"):
            tried = await author.failure(
                "mcpbox_test_code", tool_id=given.draft.tool_id, arguments=SAMPLE
            )
            called = await author.failure(given.callable_name, **SAMPLE)
            assert_named(frail, "The sandbox", tried, called)
            checked = await author.call("mcpbox_validate_code", code="async def main(): ...\n")
            assert (checked["valid"], checked["guard_checked"]) == (True, False)
            request_id = await author.ask(given.draft, sample_arguments=SAMPLE)
            await given.reviewer.when(request_id, "gathering")

        request = await given.reviewer.when(request_id, "awaiting_decision")
        found = {piece["check"]: piece["status"] for piece in request["evidence"]}
        assert (found["guard"], found["trial"]) == ("passed", "passed")
        assert await author.call(given.callable_name, **SAMPLE) == {"sum": 3}


@pytest.mark.timeout(90)
async def test_without_postgres_everybody_is_told_and_no_call_is_missing_from_the_log_later(
    frail: Installed,
) -> None:
    async with scene(frail) as given:
        author, api = given.author, given.reviewer.api
        async with away(frail, "postgres", "is gone"):
            # For some seconds the gateway knows what may be called; the run is logged later.
            assert await author.call(given.callable_name, **SAMPLE) == {"sum": 3}
            told = [
                await author.failure("mcpbox_list_servers"),
                await author.failure("mcpbox_create_server", name=f"s{uuid4().hex[:8]}"),
                await author.failure("mcpbox_request_publish", tool_id=given.draft.tool_id),
            ]
            answers = [
                await given.reviewer.decide(given.waiting),
                await api.get("/requests"),
                await api.post("/auth/login", json={"username": "admin", "password": "x"}),
            ]
            assert [answer.status_code for answer in answers] == [503] * 3
            assert_named(frail, "Postgres", *told, *(a.json()["detail"] for a in answers))

        async def logged() -> bool:
            answer = await api.get(f"/executions?tool_id={given.callable_id}&origin=call")
            return answer.is_success and answer.json()["total"] == 1

        await eventually(logged)
        assert (await given.reviewer.decide(given.waiting)).json()["state"] == "applied"
        assert await author.call("mcpbox_list_servers")


@pytest.mark.timeout(90)
async def test_without_an_answer_of_postgres_everybody_is_told_and_soon_no_tool_is_run(
    frail: Installed,
) -> None:
    """I9: nobody could stop a tool meanwhile, so after seconds none is run."""
    async with scene(frail) as given:
        author = given.author

        async def refused() -> str | None:
            result = await author.client.call_tool(given.callable_name, SAMPLE)
            return str(result.content) if result.is_error else None

        async with away(frail, "postgres", "hangs"):
            told, answer, reason = await asyncio.gather(
                author.failure("mcpbox_list_servers"),
                given.reviewer.api.get("/requests"),
                eventually(refused),
            )
            assert answer.status_code == 503
            assert_named(frail, "Postgres", told, answer.json()["detail"], reason)

        async def runs() -> bool:
            return not (await author.client.call_tool(given.callable_name, SAMPLE)).is_error

        await eventually(runs)
        assert await author.call("mcpbox_list_servers")
