"""What is quarantined runs nowhere, and whoever tries a switch they may not is on record."""

import pytest
from sqlalchemy import select

from mcpbox.domain.audit import Action
from mcpbox.domain.errors import Refused
from mcpbox.domain.evidence import Check, Status
from mcpbox.domain.requests import State
from mcpbox.store.tables.audit import AuditRow
from mcpbox.usecases.tool_switches import ToolSwitches
from tests.integration.requests.conftest import ADA, ANA, AUTHOR, VIC, Office
from tests.reviewing import eventually


async def refusals(office: Office, subject: str) -> list[tuple[str, str]]:
    """Actor and switch, oldest first."""
    async with office.database.sessions.begin() as session:
        rows = await session.scalars(
            select(AuditRow)
            .where(AuditRow.action == Action.SWITCH_REFUSED, AuditRow.subject == subject)
            .order_by(AuditRow.sequence)
        )
        return [(row.actor, row.facts["switch"]) for row in rows]


async def test_refused_switches_are_in_the_audit_log_with_who_tried_them(office: Office) -> None:
    tool = await office.draft()
    switches = ToolSwitches(office.database.sessions)

    with pytest.raises(Refused):
        await office.servers.stop(VIC, tool.server_id)
    with pytest.raises(Refused):
        await office.servers.quarantine(AUTHOR, tool.server_id, "Mine.")
    with pytest.raises(Refused):
        await switches.revoke(ANA, tool.id, "Out.")
    await switches.disable(ADA, tool.id)
    with pytest.raises(Refused):
        await office.tools.update(AUTHOR, tool.id, enabled=True)

    assert await refusals(office, f"server:{tool.server_id}") == [
        (VIC.label, "stop"),
        (AUTHOR.label, "quarantine"),
    ]
    assert await refusals(office, f"tool:{tool.id}") == [
        (ANA.label, "revoke"),
        (AUTHOR.label, "enable"),
    ]


async def test_the_trial_of_a_request_runs_nothing_of_what_is_quarantined(office: Office) -> None:
    tool = await office.draft()
    await office.servers.quarantine(ADA, tool.server_id, "It leaks.")

    request = await office.asked(tool)

    found = await office.requests.get(request.id)
    [trial] = [piece for piece in found.evidence if piece.check is Check.TRIAL]
    assert trial.status is Status.MISSING
    assert "is quarantined by person:ada: It leaks." in trial.summary
    assert trial.runs == ()


async def test_a_quarantine_ends_the_trial_that_runs(office: Office) -> None:
    code = "import asyncio\nasync def main() -> None:\n    await asyncio.sleep(20)\n"
    tool = await office.draft(code)
    request = await office.requests.request_publish(AUTHOR, tool.id)

    async def running() -> bool:
        return (await office.sandbox.health()).running > 0

    await eventually(running)
    await office.servers.quarantine(ADA, tool.server_id, "It leaks.")
    await office.when(request, State.AWAITING_DECISION)

    found = await office.requests.get(request.id)
    [trial] = [piece for piece in found.evidence if piece.check is Check.TRIAL]
    assert (trial.status, trial.runs) == (Status.MISSING, ())
    assert "is quarantined by person:ada: It leaks." in trial.summary
    assert (await office.sandbox.health()).running == 0
