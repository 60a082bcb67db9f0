"""Every way through the request workflow: replayed as it is, and recorded with ``--record``."""

import json
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from temporalio.client import WorkflowHistory

from mcpbox.domain.audit import Action
from mcpbox.domain.base import PageRequest, utc_now
from mcpbox.domain.decisions import Channel
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.modules import Requirement
from mcpbox.domain.requests import RequestSummary, State
from mcpbox.domain.review import Requirements
from mcpbox.domain.review_policy import ReviewPolicy
from mcpbox.domain.verdicts import Verdict
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.tools import VersionRow
from mcpbox.temporal import Message
from tests.integration.requests import hosts_asked, test_timers
from tests.integration.requests.conftest import ADA, ANA, AUTHOR, VIC, Office, a_decision
from tests.integration.requests.shifts import own_queue, recorded_unheard, shift
from tests.integration.requests.test_crash_points import Mortal, host_grant, module_grant
from tests.integration.requests.test_growth import runs_of
from tests.integration.requests.test_policy import policy_in_force
from tests.integration.requests.test_timers import DAY
from tests.replay.test_histories import replayer
from tests.reviewing import eventually
from workflows.request_state import ROUNDS_PER_RUN

DIRECTORY = Path(__file__).parents[2] / "replay" / "histories"
_PROCESS = re.compile(r"\d+@[\w.-]+")
"""The process and the machine that made a history, in identities and names of queues."""
_RECORDER = "recorder"
OTHER_AUTHOR = AUTHOR.model_copy(update={"name": "desktop"})


async def applied(office: Office) -> RequestSummary:
    request = await office.asked(sample_arguments={"a": 1})
    await office.decide(request)
    return request


async def caught_up(office: Office) -> RequestSummary:
    request = await office.asked()
    await recorded_unheard(office, request, Verdict.APPROVE)
    await office.workflow(request).signal(Message.CATCH_UP)
    return request


async def applied_by_signal(office: Office) -> RequestSummary:
    request = await office.asked()
    await office.workflow(request).signal(
        Message.DECIDE,
        {"verdict": "approve", "reviewer": "ana", "reason": "", "seen_digest": request.digest},
    )
    return await office.when(request, State.APPLIED)


async def denied(office: Office) -> RequestSummary:
    request = await office.asked()
    await office.decide(request, Verdict.DENY)
    return request


async def superseded_after_changes_requested(office: Office) -> RequestSummary:
    tool = await office.draft()
    request = await office.asked(tool)
    await office.decide(request, Verdict.REQUEST_CHANGES)
    newer = await office.tools.update(AUTHOR, tool.id, description="Counts better.")
    await office.requests.request_publish(OTHER_AUTHOR, newer.id)
    return await office.when(request, State.SUPERSEDED)


async def revised_and_applied(office: Office) -> RequestSummary:
    tool = await office.draft()
    request = await office.asked(tool)
    await office.decide(request, Verdict.REQUEST_CHANGES)
    await office.tools.update(AUTHOR, tool.id, description="Counts better.")
    await office.requests.revise(AUTHOR, request.id)
    await office.decide(await office.when(request, State.AWAITING_DECISION))
    return request


async def retracted_and_applied(office: Office) -> RequestSummary:
    request = await office.asked()
    await office.decide(request, Verdict.REQUEST_CHANGES)
    await office.requests.retract(ANA, Channel.API, request.id)
    await office.decide(request)
    return request


async def forced(office: Office) -> RequestSummary:
    request = await office.asked()
    draft = a_decision(request, reason="Production is down.")
    await office.decide(request, by=ADA, draft=draft.model_copy(update={"break_glass": True}))
    return request


async def vetoed(office: Office) -> RequestSummary:
    tool = await office.draft("import os\nasync def main() -> str:\n    return os.getcwd()\n")
    asked = await office.requests.request_publish(AUTHOR, tool.id)
    return await office.when(asked, State.VETOED)


async def expired(office: Office) -> RequestSummary:
    request = await office.asked()
    await office.env.fast_forward(office.workflow(request), timedelta(days=8))
    return await office.when(request, State.EXPIRED)


async def withdrawn(office: Office) -> RequestSummary:
    request = await office.asked()
    await office.requests.withdraw(AUTHOR, request.id, "Found a mistake.")
    return request


async def cancelled(office: Office) -> RequestSummary:
    request = await office.asked()
    await office.workflow(request).cancel()
    return await office.when(request, State.WITHDRAWN)


async def apply_failed(office: Office) -> RequestSummary:
    request = await office.asked()
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(VersionRow)
            .where(VersionRow.id == request.version_id)
            .values(description=f"Tampered with {uuid4()}.")
        )
    await office.decide(request)
    return request


async def malformed_signals(office: Office) -> RequestSummary:
    request = await office.asked()
    workflow = office.workflow(request)
    for given in ([], [1, 2], [{"verdict": "maybe"}]):
        await workflow.signal(Message.DECIDE, args=given)
    await workflow.signal("no-such-signal", args=[])
    await office.decide(request, Verdict.DENY)
    return request


async def bundle_applied(office: Office) -> RequestSummary:
    office.index.add("shout", files={"shout.py": "def shout(text): return text.upper()\n"})
    code = "import shout\nasync def main() -> str:\n    return shout.shout('hi')\n"
    tool = await office.draft(code)
    wanted = Requirement(module="shout", package="shout")
    asked = await office.requests.request_publish(AUTHOR, tool.id, requirements=[wanted])
    request = await office.when(asked, State.AWAITING_DECISION)
    await office.decide(request)
    return request


async def module_granted(office: Office) -> RequestSummary:
    office.index.add("shout", files={"shout.py": "def shout(text): return text.upper()\n"})
    tool = await office.draft()
    wanted = Requirement(module="shout", package="shout")
    asked = await office.requests.request_module(AUTHOR, tool.server_id, wanted, days=7)
    request = await office.when(asked, State.AWAITING_DECISION)
    await office.decide(request)
    return request


async def host_granted(office: Office) -> RequestSummary:
    tool = await office.draft()
    access = HostAccess(host="api.example.com", methods=("GET",), path_prefix="/v1")
    asked = await office.network.request_access(
        AUTHOR, tool.server_id, access, days=7, justification="The weather."
    )
    request = await office.when(asked, State.AWAITING_DECISION)
    await office.decide(request)
    return request


async def secret_bound(office: Office) -> RequestSummary:
    tool = await office.draft()
    await office.secrets.create(AUTHOR, tool.server_id, "KEY", ["api.example.com"])
    asked = await office.secrets.request(AUTHOR, tool.server_id, "KEY", justification="The key.")
    request = await office.when(asked, State.AWAITING_DECISION)
    await office.decide(request)
    return request


async def rolled_back(office: Office) -> RequestSummary:
    tool = await office.draft()
    await office.decide(await office.asked(tool))
    newer = await office.tools.update(AUTHOR, tool.id, description="Counts better.")
    await office.decide(await office.asked(newer))
    asked = await office.releases.request_rollback(AUTHOR, tool.id, 1, reason="Not better.")
    request = await office.when(asked, State.AWAITING_DECISION)
    await office.decide(request)
    return request


async def restored(office: Office) -> RequestSummary:
    tool = await office.draft()
    await office.decide(await office.asked(tool))
    now = utc_now()
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(ReleaseRow)
            .where(ReleaseRow.tool_id == tool.id)
            .values(active_to=now, revoked_at=now, revoked_by="person:otto", revoke_reason="Leak.")
        )
    asked = await office.releases.request_restore(AUTHOR, tool.id, reason="Mended.")
    request = await office.when(asked, State.AWAITING_DECISION)
    await office.decide(request)
    return request


async def reminded_and_escalated(office: Office) -> RequestSummary:
    request = await test_timers.asked(
        office, reminders=(DAY,), escalate_after=2 * DAY, escalate_to=(VIC.name,)
    )
    await policy_in_force(office, ReviewPolicy())
    for action in (Action.REQUEST_REMINDED, Action.REQUEST_ESCALATED):
        await test_timers.passes(office, request, DAY + test_timers.MOMENT)
        await eventually(partial(_is_told, office, request, action))
    await office.decide(request, by=VIC)
    return request


async def _is_told(office: Office, request: RequestSummary, action: Action) -> bool:
    return any(action == told for told, _ in await test_timers.events(office, request))


async def applied_at_the_second_try(office: Office) -> RequestSummary:
    """What a workflow task could not do at once is done patiently."""
    mortal = Mortal(office.database.sessions)
    with pytest.MonkeyPatch.context() as patch:
        async with shift(office, own_queue(patch), sessions=cast("Any", mortal)):
            request = await office.when(await host_grant(office), State.AWAITING_DECISION)
            mortal.dies_at(2, "before")
            await office.decide(request)
    assert not mortal.lived()
    return request


async def lapsed(office: Office) -> RequestSummary:
    """As an approval does whose packages cannot be installed for the whole of its window."""
    office.index.add("shout", files={"shout.py": "def shout(text): return text.upper()\n"})
    nowhere = SandboxClient(
        url="http://sandbox", api_key=SecretStr("k" * 32), socket="/nowhere/sandbox.sock"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcpbox.domain.review_policy._SHORTEST", timedelta(0))
        window = Requirements(execution_window=timedelta(seconds=2))
        await policy_in_force(office, ReviewPolicy(requirements=window))
        async with shift(office, own_queue(patch), sandbox=nowhere):
            request = await office.when(await module_grant(office), State.AWAITING_DECISION)
            await office.decide(request)
        await policy_in_force(office, ReviewPolicy())
    await nowhere.aclose()
    return request


PATHS: list[Callable[[Office], Awaitable[RequestSummary]]] = [
    applied,
    applied_at_the_second_try,
    applied_by_signal,
    apply_failed,
    bundle_applied,
    cancelled,
    caught_up,
    denied,
    expired,
    forced,
    host_granted,
    lapsed,
    malformed_signals,
    module_granted,
    reminded_and_escalated,
    restored,
    retracted_and_applied,
    revised_and_applied,
    rolled_back,
    secret_bound,
    superseded_after_changes_requested,
    vetoed,
    withdrawn,
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
async def test_every_path_replays_to_the_same_commands(
    office: Office, path: Callable[[Office], Awaitable[RequestSummary]], *, record: bool
) -> None:
    request = await path(office)
    workflow = office.workflow(request)
    await workflow.result()
    history = await workflow.fetch_history()

    await replayer().replay_workflow(history)
    if record:
        keep(path.__name__, history)


async def test_every_run_of_a_request_that_goes_on_anew_replays_to_the_same_commands(
    office: Office, *, record: bool
) -> None:
    request = await hosts_asked.asked(office, await hosts_asked.a_server(office))
    for number in range(2, ROUNDS_PER_RUN + 2):
        await hosts_asked.revised(office, request, number)
        await office.when(request, State.AWAITING_DECISION)
    await office.decide(await office.requests.get(request.id))
    last, first = await runs_of(office, request)

    for name, history in (("goes_on_anew", first), ("went_on_anew", last)):
        await replayer().replay_workflow(history)
        if record:
            keep(name, history)


async def test_the_timer_of_a_grant_replays_to_the_same_commands(
    office: Office, *, record: bool
) -> None:
    request = await host_granted(office)
    [grant] = (await office.grants.list(request.server_id, PageRequest())).items
    timer = office.env.client.get_workflow_handle(f"grant/{grant.id}")
    await office.env.fast_forward(timer, timedelta(days=8))
    await timer.result()
    history = await timer.fetch_history()

    await replayer().replay_workflow(history)
    if record:
        keep("grant_ended", history)


def keep(name: str, history: WorkflowHistory) -> None:
    DIRECTORY.mkdir(exist_ok=True)
    text = _PROCESS.sub(_RECORDER, history.to_json())
    for place in (str(DIRECTORY.parents[2]), sys.prefix, sys.base_prefix):
        text = text.replace(place, "")
    text = json.dumps(json.loads(text), indent=1)
    (DIRECTORY / f"{name}.json").write_text(text + "\n")
