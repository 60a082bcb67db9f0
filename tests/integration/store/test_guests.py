"""Clients of those for whom others vouch, on a real database."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from mcpbox.domain.audit import Action
from mcpbox.domain.errors import Unauthenticated
from mcpbox.domain.identities import Identity
from mcpbox.domain.people import SYSTEM, Principal, PrincipalKind, Role, Scope
from mcpbox.store.session import transaction
from mcpbox.store.tables.audit import AuditRow
from mcpbox.usecases.clients import Clients
from mcpbox.usecases.guests import Guests
from mcpbox.usecases.people import ensure_admin
from mcpbox.usecases.users import Users
from tests.integration.conftest import Database

ADMIN = Principal(kind=PrincipalKind.PERSON, name="admin", roles=frozenset({Role.ADMIN}))
ISSUER = "https://id.example.org"


async def an_owner(database: Database) -> str:
    await ensure_admin(database.sessions, SecretStr("correct-horse-battery"))
    name = f"u{uuid4().hex[:8]}"
    await Users(database.sessions).create(ADMIN, name, [Role.REVIEWER])
    return name


def of(owner: str, subject: str = "user-1") -> Identity:
    return Identity(issuer=ISSUER, subject=subject, owner=owner)


async def test_two_gateways_that_see_somebody_first_make_one_client(database: Database) -> None:
    owner = await an_owner(database)
    guests = [Guests(database.sessions) for _ in range(4)]

    admitted = await asyncio.gather(*(each.admit(of(owner)) for each in guests))

    assert len({client.id for client in admitted}) == 1
    assert admitted[0].scopes == frozenset(Scope)
    async with transaction(database.sessions) as session:
        found = await session.scalars(
            select(AuditRow.detail).where(
                AuditRow.action == Action.CLIENT_CREATED,
                AuditRow.subject == f"client:{admitted[0].id}",
            )
        )
        [detail] = list(found)
    assert detail == f"{admitted[0].name} of {owner}: vouched for by {ISSUER}"


async def test_a_revoked_guest_is_not_made_anew(database: Database) -> None:
    owner = await an_owner(database)
    guests = Guests(database.sessions)
    client = await guests.admit(of(owner))
    other = await guests.admit(of(owner, "user-2"))

    await Clients(database.sessions).revoke(ADMIN, client.name)

    with pytest.raises(Unauthenticated):
        await guests.admit(of(owner))
    assert await guests.admit(of(owner, "user-2")) == other


async def test_a_guest_comes_and_goes_with_its_owner(database: Database) -> None:
    owner = await an_owner(database)
    guests, users = Guests(database.sessions), Users(database.sessions)
    with pytest.raises(Unauthenticated):
        await guests.admit(of(f"{owner}x"))
    client = await guests.admit(of(owner))

    await users.deactivate(ADMIN, owner)
    with pytest.raises(Unauthenticated):
        await guests.admit(of(owner))

    await users.activate(ADMIN, owner)
    assert (await guests.admit(of(owner))).id == client.id


async def test_a_client_that_took_the_name_lets_no_guest_in(database: Database) -> None:
    owner = await an_owner(database)
    clients = Clients(database.sessions)
    name = of(owner).client_name
    _, token = await clients.create(SYSTEM, name=name, owner=owner, scopes=[Scope.CALL])

    with pytest.raises(Unauthenticated):
        await Guests(database.sessions).admit(of(owner))
    assert (await clients.authenticate(token)).name == name
