"""Secrets of servers: asked for and approved by name, set by people, and told to nobody (I6)."""

from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.errors import Conflict, Invalid, NameTaken, NotFound, Refused
from mcpbox.domain.evidence import Check, Risk
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.requests import RequestDetail, State
from mcpbox.domain.tools import ToolDetail
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.call import may_call
from mcpbox.store.tables.audit import AuditRow
from mcpbox.store.tables.secrets import SecretRow
from tests.integration.requests.conftest import ANA, AUTHOR, Office, a_decision

NAME = "WEATHER_KEY"
VALUE = "correct-horse-battery-staple"
HOST = "api.example.com"
OTTO = Principal(kind=PrincipalKind.PERSON, name="otto", roles=frozenset({Role.OPERATOR}))
USES_IT = (
    "async def main() -> int:\n"
    f"    key = secrets['{NAME}']\n"
    f"    got = await http.get('https://{HOST}/', headers={{'x-key': key}})\n"
    "    return got.status_code\n"
)


async def placeholder(office: Office, server: ServerId) -> None:
    await office.secrets.create(AUTHOR, server, NAME, [HOST])


async def asked(office: Office, server: ServerId, *, days: int | None = None) -> RequestDetail:
    request = await office.secrets.request(
        AUTHOR, server, NAME, days=days, justification="The weather needs a key."
    )
    return await office.when(request, State.AWAITING_DECISION)


async def published(office: Office) -> ToolDetail:
    tool = await office.draft(USES_IT)
    await placeholder(office, tool.server_id)
    request = await office.requests.get((await office.asked(tool)).id)
    assert request.needs.secrets == (NAME,)
    assert (await office.decide(request)).state is State.APPLIED
    return tool


async def callable_now(office: Office, tool: ToolDetail) -> CallableTool:
    return next(one for one in await office.callables.load() if one.version.tool_id == tool.id)


async def test_a_secret_is_usable_once_it_is_approved_and_a_person_has_set_it(
    office: Office,
) -> None:
    tool = await published(office)
    unset = await callable_now(office, tool)

    told = await office.secrets.set_value(OTTO, tool.server_id, NAME, SecretStr(VALUE))

    now = await callable_now(office, tool)
    assert "no value yet" in may_call(unset, AUTHOR, utc_now()).reason
    assert may_call(now, AUTHOR, utc_now())
    assert now.secrets[NAME].value.get_secret_value() == VALUE
    assert now.secrets[NAME].hosts == (HOST,)
    assert (told.is_set, told.is_granted, told.set_by) == (True, True, "person:otto")


async def test_i6_the_value_is_in_no_history_event_row_or_answer(office: Office) -> None:
    tool = await office.draft(USES_IT)
    await placeholder(office, tool.server_id)
    await office.secrets.set_value(OTTO, tool.server_id, NAME, SecretStr(VALUE))
    request = await asked(office, tool.server_id)
    await office.decide(request)
    await office.workflow(request).result()

    history = (await office.workflow(request).fetch_history()).to_json()
    shown = (await office.requests.get(request.id)).model_dump_json()
    listed = [one.model_dump_json() for one in await office.secrets.list(tool.server_id)]
    async with office.database.sessions() as session:
        events = [f"{row.detail}{row.facts}" for row in await session.scalars(select(AuditRow))]
        row = await session.scalar(select(SecretRow).where(SecretRow.server_id == tool.server_id))
    assert row is not None
    assert row.sealed is not None
    for told in (history, shown, *listed, *events, repr(await office.callables.load())):
        assert VALUE not in told
    assert VALUE.encode() not in row.sealed


async def test_reviewers_see_where_it_goes_and_who_names_it(office: Office) -> None:
    tool = await office.draft(USES_IT)
    await placeholder(office, tool.server_id)

    request = await asked(office, tool.server_id, days=7)

    [piece] = request.evidence
    assert piece.check is Check.SECRET
    assert piece.facts["Goes to"] == HOST
    assert piece.facts["Tools that name it"] == "count"
    assert (request.risk, request.secret_name, request.days) == (Risk.HIGH, NAME, 7)


async def test_a_new_value_is_used_from_the_next_load_on(office: Office) -> None:
    tool = await published(office)
    await office.secrets.set_value(OTTO, tool.server_id, NAME, SecretStr(VALUE))
    await office.secrets.set_value(OTTO, tool.server_id, NAME, SecretStr("another-value"))

    now = await callable_now(office, tool)

    assert now.secrets[NAME].value.get_secret_value() == "another-value"


async def test_deleting_it_takes_the_value_and_the_grant_at_once(office: Office) -> None:
    tool = await published(office)
    await office.secrets.set_value(OTTO, tool.server_id, NAME, SecretStr(VALUE))

    await office.secrets.delete(OTTO, tool.server_id, NAME)
    await placeholder(office, tool.server_id)
    await office.secrets.set_value(OTTO, tool.server_id, NAME, SecretStr(VALUE))

    now = await callable_now(office, tool)
    assert now.secrets == {}
    assert "may not use" in may_call(now, AUTHOR, utc_now()).reason


async def test_a_secret_ends_with_its_grant(office: Office) -> None:
    tool = await office.draft(USES_IT)
    await placeholder(office, tool.server_id)
    request = await asked(office, tool.server_id, days=1)
    await office.decide(request)
    await office.decide(await office.asked(tool))
    await office.secrets.set_value(OTTO, tool.server_id, NAME, SecretStr(VALUE))

    now = await callable_now(office, tool)

    assert may_call(now, AUTHOR, utc_now())
    assert "may not use" in may_call(now, AUTHOR, utc_now() + timedelta(days=2)).reason


async def test_a_value_that_was_copied_to_another_row_does_not_open_there(
    office: Office,
) -> None:
    tool, other = await published(office), await published(office)
    await office.secrets.set_value(OTTO, tool.server_id, NAME, SecretStr(VALUE))
    async with office.database.sessions.begin() as session:
        row = await session.scalar(select(SecretRow).where(SecretRow.server_id == tool.server_id))
        assert row is not None
        await session.execute(
            update(SecretRow)
            .where(SecretRow.server_id == other.server_id)
            .values(key_id=row.key_id, sealed=row.sealed)
        )

    assert (await callable_now(office, other)).secrets == {}


async def test_a_secret_whose_hosts_were_changed_after_the_approval_is_not_bound(
    office: Office,
) -> None:
    server = (await office.draft(USES_IT)).server_id
    await placeholder(office, server)
    request = await asked(office, server)
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(SecretRow).where(SecretRow.server_id == server).values(hosts=["evil.example"])
        )

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "its hosts differ" in outcome.state_reason


@pytest.mark.parametrize("by", [AUTHOR, ANA], ids=lambda by: by.name)
async def test_values_are_set_and_deleted_by_operators_and_admins_alone(
    office: Office, by: Principal
) -> None:
    server = (await office.draft()).server_id
    await placeholder(office, server)

    with pytest.raises(Refused):
        await office.secrets.set_value(by, server, NAME, SecretStr(VALUE))
    with pytest.raises(Refused):
        await office.secrets.delete(by, server, NAME)


async def test_names_hosts_and_values_that_are_none_are_refused_without_being_repeated(
    office: Office,
) -> None:
    server = (await office.draft()).server_id
    await placeholder(office, server)
    for name, hosts in (
        ("lower", [HOST]),
        ("A" * 63, [HOST]),
        ("A\x00", [HOST]),
        ("OTHER", []),
        ("OTHER", ["*"]),
        ("OTHER", ["https://api.example.com"]),
        ("OTHER", ["GET api.example.com/v1"]),
        ("OTHER", ["169.254.169.254"]),
    ):
        with pytest.raises(Invalid):
            await office.secrets.create(AUTHOR, server, name, hosts)
    with pytest.raises(NameTaken):
        await placeholder(office, server)
    for value in ("", "x" * 8193):
        with pytest.raises(Invalid):
            await office.secrets.set_value(OTTO, server, NAME, SecretStr(value))
    with pytest.raises(NotFound):
        await office.secrets.request(AUTHOR, server, "OTHER", justification="None there.")


async def test_what_is_granted_or_denied_is_not_asked_for_again(office: Office) -> None:
    server = (await office.draft()).server_id
    await placeholder(office, server)
    request = await asked(office, server)
    await office.decide(request, draft=a_decision(request, Verdict.DENY, reason="Use the cache."))
    with pytest.raises(Conflict, match="Use the cache"):
        await asked(office, server)

    await office.decide(await asked(office, server, days=1))
    with pytest.raises(Conflict, match="already"):
        await asked(office, server, days=2)
