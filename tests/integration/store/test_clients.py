"""Tokens of clients: an end of their own, a new one in place of the old, and only some servers."""

from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import update

from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused, Unauthenticated
from mcpbox.domain.people import SYSTEM, ClientState, Principal, PrincipalKind, Role, Scope
from mcpbox.store.tables.clients import ClientRow
from mcpbox.usecases.clients import Clients
from mcpbox.usecases.people import ensure_admin
from mcpbox.usecases.servers import Servers
from tests.integration.conftest import Database

OTTO = Principal(kind=PrincipalKind.PERSON, name="otto", roles=frozenset({Role.OPERATOR}))
CALL = [Scope.CALL]


@pytest_asyncio.fixture
async def clients(database: Database) -> Clients:
    await ensure_admin(database.sessions, SecretStr("correct-horse-battery"))
    return Clients(database.sessions)


async def test_a_new_token_takes_the_place_of_the_old_one_which_lives_on_for_its_grace(
    clients: Clients,
) -> None:
    name = f"c{uuid4().hex[:8]}"
    _, first = await clients.create(SYSTEM, name=name, owner="admin", scopes=CALL)
    with pytest.raises(NotFound):
        await clients.rotate(OTTO, name)
    with pytest.raises(Invalid, match="at most 7 days"):
        await clients.rotate(SYSTEM, name, grace=timedelta(days=8))

    _, second = await clients.rotate(SYSTEM, name, grace=timedelta(hours=1), days=30)

    now = utc_now()
    kept, new = [await clients.authenticate(token) for token in (first, second)]
    assert kept.id == new.id
    assert kept.expires_at is not None
    assert now < kept.expires_at <= now + timedelta(hours=1)
    assert new.expires_at is not None
    assert new.expires_at > now + timedelta(days=29)

    _, third = await clients.rotate(SYSTEM, name)
    with pytest.raises(Unauthenticated):
        await clients.authenticate(first)
    assert (await clients.authenticate(second)).state_at(utc_now()) is ClientState.EXPIRED
    assert (await clients.authenticate(third)).expires_at == new.expires_at

    await clients.revoke(SYSTEM, name)
    for token in (second, third):
        with pytest.raises(Unauthenticated):
            await clients.authenticate(token)
    with pytest.raises(Conflict, match="is revoked"):
        await clients.rotate(SYSTEM, name)


async def test_whoever_only_reads_by_now_is_given_no_new_token(clients: Clients) -> None:
    name = f"c{uuid4().hex[:8]}"
    _, token = await clients.create(SYSTEM, name=name, owner="admin", scopes=CALL)
    reading = Principal(kind=PrincipalKind.PERSON, name="admin", roles=frozenset({Role.VIEWER}))

    with pytest.raises(Refused, match="viewer and auditor"):
        await clients.rotate(reading, name)

    assert (await clients.authenticate(token)).state_at(utc_now()) is ClientState.LIVE


async def test_the_grace_of_a_token_never_outlives_the_end_it_had(clients: Clients) -> None:
    name = f"c{uuid4().hex[:8]}"
    made, first = await clients.create(SYSTEM, name=name, owner="admin", scopes=CALL, days=1)

    await clients.rotate(SYSTEM, name, grace=timedelta(days=7))

    assert (await clients.authenticate(first)).expires_at == made.expires_at


async def test_only_some_servers_are_for_a_client_that_calls_and_writes_nothing(
    clients: Clients, database: Database
) -> None:
    server = await Servers(database.sessions).create(
        Principal(kind=PrincipalKind.CLIENT, name="c", scopes=frozenset(Scope)),
        name=f"s{uuid4().hex[:8]}",
        description="",
    )
    name = f"c{uuid4().hex[:8]}"
    with pytest.raises(Invalid, match="the scope 'call' alone"):
        await clients.create(
            SYSTEM, name=name, owner="admin", scopes=list(Scope), servers=[server.name]
        )
    with pytest.raises(NotFound, match="nowhere"):
        await clients.create(
            SYSTEM, name=name, owner="admin", scopes=CALL, servers=[server.name, "nowhere"]
        )

    _, token = await clients.create(
        SYSTEM, name=name, owner="admin", scopes=CALL, servers=[server.name]
    )

    assert (await clients.authenticate(token)).servers == {server.name}


@pytest.mark.parametrize("days", [0, 3651])
async def test_a_token_is_good_for_a_sensible_time(clients: Clients, days: int) -> None:
    with pytest.raises(Invalid, match="1 to 3650 days"):
        await clients.create(SYSTEM, name="x", owner="admin", scopes=CALL, days=days)


async def test_the_token_of_a_client_whose_end_has_passed_needs_a_new_end(
    clients: Clients, database: Database
) -> None:
    name = f"c{uuid4().hex[:8]}"
    _, token = await clients.create(SYSTEM, name=name, owner="admin", scopes=CALL, days=1)
    async with database.sessions.begin() as session:
        await session.execute(
            update(ClientRow).where(ClientRow.name == name).values(expires_at=utc_now())
        )

    with pytest.raises(Invalid, match="Its end has passed"):
        await clients.rotate(SYSTEM, name)

    assert (await clients.authenticate(token)).state_at(utc_now()) is ClientState.EXPIRED
    await clients.rotate(SYSTEM, name, days=1)
