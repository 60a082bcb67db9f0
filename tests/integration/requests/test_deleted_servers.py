"""A server that is deleted ends with all that it had, and its name is free for another."""

from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from mcpbox.domain.audit import Action
from mcpbox.domain.base import PageRequest
from mcpbox.domain.errors import NotFound, Refused
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.requests import State
from mcpbox.domain.tools import ToolDetail
from mcpbox.store.tables.audit import AuditRow
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.secrets import SecretRow
from mcpbox.temporal import TemporalGate
from mcpbox.usecases.recovery import Recoveries
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.server_deletion import ServerDeletion
from mcpbox.usecases.tool_switches import ToolSwitches
from tests.integration.requests.conftest import ADA, AUTHOR, KEY, Office

CODE = 'async def main() -> str:\n    return (await http.get("https://api.example.org")).text\n'


async def names(office: Office) -> set[str]:
    page = await office.servers.list(PageRequest(page_size=100))
    return {server.name for server in page.items}


async def published(office: Office) -> ToolDetail:
    tool = await office.draft(CODE)
    await office.decide(await office.asked(tool))
    released = await office.tools.get(tool.id)
    assert released.released_version == 1
    return released


async def test_tools_grants_secrets_and_open_requests_end_with_their_server(
    office: Office,
) -> None:
    tool = await published(office)
    server_id = tool.server_id
    await office.secrets.create(AUTHOR, server_id, "API_KEY", ["api.example.org"])
    await office.secrets.set_value(ADA, server_id, "API_KEY", SecretStr("hunter2hunter2"))
    waiting = await office.network.request_access(
        AUTHOR, server_id, HostAccess.parse("other.example.org"), justification="More of it."
    )
    await office.when(waiting, State.AWAITING_DECISION)

    name = await office.deletion.delete(AUTHOR, server_id, "Not needed.")

    assert tool.server_name == name
    assert name not in await names(office)
    for looked_for in (office.servers.get(server_id), office.tools.get(tool.id)):
        with pytest.raises(NotFound):
            await looked_for
    assert tool.callable_name not in {one.name for one in await office.callables.load()}
    assert (await office.requests.get(waiting.id)).state is State.WITHDRAWN
    async with office.database.sessions.begin() as session:
        of_it = GrantRow.server_id == server_id, GrantRow.revoked_at.is_(None)
        assert (await session.scalars(select(GrantRow).where(*of_it))).all() == []
        secrets = select(SecretRow).where(SecretRow.server_id == server_id)
        assert (await session.scalars(secrets)).all() == []
        [event] = await session.scalars(
            select(AuditRow).where(
                AuditRow.subject == f"server:{server_id}", AuditRow.action == Action.SERVER_DELETED
            )
        )
    assert (event.actor, event.detail) == (AUTHOR.label, f"{name}: Not needed.")
    assert event.facts == {"tools": ["count"], "grants": ["host api.example.org"]}
    again = await office.servers.create(AUTHOR, name=name, description="Another.")
    assert (again.tool_count, again.hosts) == (0, ())


async def test_an_approval_that_comes_late_grants_a_deleted_server_nothing(office: Office) -> None:
    """Temporal was away when it was deleted, so its requests were not withdrawn."""
    tool = await office.draft()
    hosts = await office.network.request_access(
        AUTHOR, tool.server_id, HostAccess.parse("api.example.org"), justification="All of it."
    )
    hosts = await office.when(hosts, State.AWAITING_DECISION)
    version = await office.asked(tool)
    away = TemporalGate("127.0.0.1:1", "default", (KEY,))
    sessions = office.database.sessions
    requests = Requests(sessions, away, ttl=timedelta(days=7))
    await ServerDeletion(sessions, requests, Recoveries(sessions, away)).delete(
        AUTHOR, tool.server_id
    )

    for request in (hosts, version):
        assert (await office.decide(request)).state is State.APPLY_FAILED


async def test_a_client_deletes_no_server_with_something_that_people_took_out_of_use(
    office: Office,
) -> None:
    tool = await office.draft()
    await ToolSwitches(office.database.sessions).disable(ADA, tool.id, "It leaks.")

    with pytest.raises(Refused, match="switched off by person:ada: It leaks"):
        await office.deletion.delete(AUTHOR, tool.server_id)
    with pytest.raises(Refused, match="switched off by person:ada: It leaks"):
        await office.tools.delete(AUTHOR, tool.id)

    async with office.database.sessions.begin() as session:
        refused = await session.scalars(
            select(AuditRow.subject).where(
                AuditRow.action == Action.SWITCH_REFUSED,
                AuditRow.subject.in_((f"server:{tool.server_id}", f"tool:{tool.id}")),
            )
        )
        assert set(refused) == {f"server:{tool.server_id}", f"tool:{tool.id}"}
    await office.deletion.delete(ADA, tool.server_id)
