"""A sandbox that dies and comes back: noticed, every server restored, or an admin asked."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleSpec,
)

from activities.worker import activities_on, build_worker
from mcpbox.domain.audit import Action
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.errors import Conflict, Refused
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.recovery import (
    Recovery,
    RecoveryAction,
    RecoveryState,
    ResolveDraft,
    recovery_workflow_id,
)
from mcpbox.domain.requests import State
from mcpbox.domain.servers import DesiredState
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store.audit import history_of
from mcpbox.store.catalog import load_callables
from mcpbox.store.modules import StoredModuleSets
from mcpbox.temporal import KIND, RECOVERY, SERVER, STATE, Message
from mcpbox.usecases.bundles import released_bundle
from mcpbox.usecases.recovery import Recoveries
from tests.integration.requests.conftest import AUTHOR, VOUCHERS, GateTo, Office
from tests.integration.requests.conftest import env as env
from tests.integration.requests.conftest import office as office
from tests.integration.sandbox.running import (
    API_KEY,
    client_of,
    start_process,
)
from tests.receipts import SIGNER
from tests.reviewing import eventually
from workflows import recovery as workflows
from workflows.recovery import WATCH

ADMIN = Principal(kind=PrincipalKind.PERSON, name="ada", roles=frozenset({Role.ADMIN}))
VIEWER = Principal(kind=PrincipalKind.PERSON, name="vic", roles=frozenset({Role.VIEWER}))
OTHER_KEY = "A" * 43 + "="
"""Of another instance: a sandbox that knows only this one trusts no release of ours."""


@dataclass
class Ward:
    """One sandbox of its own, and the schedule that watches it."""

    office: Office
    directory: Path
    schedule: ScheduleHandle
    sandbox: SandboxClient
    recoveries: Recoveries
    process: asyncio.subprocess.Process

    async def look(self) -> None:
        await self.schedule.trigger()

    async def restart(self, **environment: str) -> None:
        """``kill -9``, and another one in its place."""
        self.process.kill()
        await self.process.wait()
        self.process = await start_process(self.directory, environment)
        await ready(self.directory)

    async def when(self, tool: CallableTool, state: RecoveryState) -> Recovery:
        async def reached() -> Recovery | None:
            await self.look()
            found = await self.recoveries.list()
            return next(
                (r for r in found if (r.server_id, r.state) == (tool.server_id, state)), None
            )

        return await eventually(reached)

    async def knows(self, tool: CallableTool) -> bool:
        """Whether it runs the release without being told anything more."""
        async with client_of(self.directory / "sandbox.sock") as http:
            key = released_bundle(tool).key
            answer = await http.post("/runs", json={"bundle_key": key, "arguments": {"a": 1}})
        return answer.status_code == 200

    async def runs(self) -> str:
        """What it counts of runs."""
        async with client_of(self.directory / "sandbox.sock") as http:
            told = (await http.get("/metrics")).text
        return "\n".join(
            line for line in told.splitlines() if line.startswith("mcpbox_sandbox_runs")
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(office: Office) -> AsyncGenerator[Ward]:
    queue = f"recovery-{uuid4().hex[:8]}"
    patient = workflows._RESTORE_RETRY  # pyright: ignore[reportPrivateUsage]
    workflows._RESTORE_RETRY = replace(  # pyright: ignore[reportPrivateUsage]
        patient, initial_interval=timedelta(milliseconds=20), maximum_attempts=2
    )
    with tempfile.TemporaryDirectory(prefix="sandbox-") as name:
        directory = Path(name)
        sandbox = SandboxClient(
            url="http://sandbox",
            api_key=SecretStr(API_KEY),
            socket=str(directory / "sandbox.sock"),
            module_sets=StoredModuleSets(office.database.sessions),
        )
        process = await start_process(directory, {})
        await ready(directory)
        activities = activities_on(
            office.database.sessions, sandbox, SIGNER, office.sources, VOUCHERS
        )
        client = office.env.client
        plan = Schedule(
            action=ScheduleActionStartWorkflow(WATCH, id=f"watch-{queue}", task_queue=queue),
            spec=ScheduleSpec(),
        )
        async with build_worker(client, activities, task_queue=queue):
            schedule = await client.create_schedule(f"watch-{queue}", plan)
            recoveries = Recoveries(office.database.sessions, GateTo(client))
            ward = Ward(office, directory, schedule, sandbox, recoveries, process)
            yield ward
            await schedule.delete()
        await sandbox.aclose()
        ward.process.kill()
        await ward.process.wait()
    workflows._RESTORE_RETRY = patient  # pyright: ignore[reportPrivateUsage]


async def a_release(ward: Ward) -> CallableTool:
    office = ward.office
    tool = await office.draft()
    outcome = await office.decide(await office.asked(tool))
    assert outcome.state is State.APPLIED
    async with office.database.sessions.begin() as session:
        [released] = await load_callables(session, tool.server_id)
    return released


async def recorded(ward: Ward, tool: CallableTool) -> list[str]:
    async with ward.office.database.sessions.begin() as session:
        return [entry.action for entry in await history_of(session, f"server:{tool.server_id}")]


async def test_a_sandbox_killed_and_started_anew_is_given_every_release_and_runs_none(
    ward: Ward,
) -> None:
    first, second = await a_release(ward), await a_release(ward)
    await ward.restart()
    assert not await ward.knows(first)
    before = await ward.runs()

    for tool in (first, second):
        restored = await ward.when(tool, RecoveryState.RESTORED)
        assert restored.problem == ""

    assert await ward.runs() == before
    assert await ward.knows(first)
    assert await ward.knows(second)
    assert Action.RECOVERY_RESTORED in await recorded(ward, first)


async def test_a_sandbox_that_comes_back_broken_makes_an_admin_be_asked(ward: Ward) -> None:
    tool = await a_release(ward)
    await ward.restart(RECEIPT_KEYS=OTHER_KEY)

    waiting = await ward.when(tool, RecoveryState.WAITING)

    assert tool.name in waiting.problem
    assert "return a" not in waiting.problem
    workflow = ward.office.env.client.get_workflow_handle(recovery_workflow_id(tool.server_id))

    async def shown() -> bool:
        attributes = (await workflow.describe()).typed_search_attributes
        found = (attributes[KIND], attributes[SERVER], attributes[STATE])
        return found == (RECOVERY, tool.server_name, RecoveryState.WAITING)

    await eventually(shown)
    for by in (VIEWER, AUTHOR):
        with pytest.raises(Refused):
            await ward.recoveries.resolve(by, tool.server_id, answer(RecoveryAction.IGNORE))


async def test_a_retry_tries_again_and_waits_again_while_it_fails(ward: Ward) -> None:
    tool = await a_release(ward)
    await ward.restart(RECEIPT_KEYS=OTHER_KEY)
    first = await ward.when(tool, RecoveryState.WAITING)

    await ward.recoveries.resolve(ADMIN, tool.server_id, answer(RecoveryAction.RETRY))

    async def tried_again() -> bool:
        found = await ward.recoveries.get(tool.server_id)
        return found.state is RecoveryState.WAITING and found.tries > first.tries

    await eventually(tried_again)


async def test_stopping_ends_the_recovery_and_the_server(ward: Ward) -> None:
    tool = await a_release(ward)
    await ward.restart(RECEIPT_KEYS=OTHER_KEY)
    await ward.when(tool, RecoveryState.WAITING)

    outcome = await ward.recoveries.resolve(ADMIN, tool.server_id, answer(RecoveryAction.STOP))

    assert outcome.state is RecoveryState.STOPPED
    server = await ward.office.servers.get(ServerId(tool.server_id))
    assert server.desired_state is DesiredState.STOPPED
    with pytest.raises(Conflict):
        await ward.recoveries.resolve(ADMIN, tool.server_id, answer(RecoveryAction.RETRY))


async def test_an_operators_signal_answers_by_the_same_rule(ward: Ward) -> None:
    tool = await a_release(ward)
    await ward.restart(RECEIPT_KEYS=OTHER_KEY)
    await ward.when(tool, RecoveryState.WAITING)
    workflow = ward.office.env.client.get_workflow_handle(recovery_workflow_id(tool.server_id))

    for wrong in ([], ["ignore"], [{"action": "explode", "operator": "ana"}], [1, 2]):
        await workflow.signal(Message.RESOLVE, args=wrong)
    for name in ("ana", "nobody"):
        await workflow.signal(Message.RESOLVE, {"action": "ignore", "operator": name})

    async def refused() -> bool:
        return (await recorded(ward, tool)).count(Action.RECOVERY_ANSWER_REFUSED) == 6

    await eventually(refused)
    assert (await ward.recoveries.get(tool.server_id)).state is RecoveryState.WAITING

    enough = {"action": "stop", "operator": ADMIN.name, "reason": "Enough."}
    await workflow.signal(Message.RESOLVE, enough)

    async def stopped() -> bool:
        return (await ward.recoveries.get(tool.server_id)).state is RecoveryState.STOPPED

    await eventually(stopped)
    server = await ward.office.servers.get(ServerId(tool.server_id))
    assert server.desired_state is DesiredState.STOPPED
    assert Action.RECOVERY_STOPPED in await recorded(ward, tool)


async def test_what_waits_is_tried_again_by_itself_when_a_healthy_sandbox_is_seen(
    ward: Ward,
) -> None:
    tool = await a_release(ward)
    await ward.restart(RECEIPT_KEYS=OTHER_KEY)
    await ward.when(tool, RecoveryState.WAITING)

    await ward.restart()

    await ward.when(tool, RecoveryState.RESTORED)
    assert await ward.knows(tool)


async def test_a_sandbox_that_stays_silent_is_noticed_and_its_return_too(ward: Ward) -> None:
    tool = await a_release(ward)
    ward.process.kill()
    await ward.process.wait()

    waiting = await ward.when(tool, RecoveryState.WAITING)
    assert "not reachable" in waiting.problem
    ward.process = await start_process(ward.directory, {})
    await ready(ward.directory)

    await ward.when(tool, RecoveryState.RESTORED)


async def ready(directory: Path) -> None:
    async with client_of(directory / "sandbox.sock") as http:

        async def healthy() -> bool:
            try:
                return (await http.get("/health")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(healthy)


def answer(action: RecoveryAction) -> ResolveDraft:
    return ResolveDraft(action=action, reason="Looked into it.")
