"""An instance keeps an admin, whoever is faster."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr

from mcpbox.domain.errors import Conflict, Refused
from mcpbox.domain.people import SYSTEM, Principal, PrincipalKind, Role, User
from mcpbox.usecases.people import ensure_admin
from mcpbox.usecases.users import Users
from tests.integration.conftest import Database

ADMIN = Principal(kind=PrincipalKind.PERSON, name="admin", roles=frozenset({Role.ADMIN}))
EVE = ADMIN.model_copy(update={"name": "eve"})
PASSWORD = SecretStr("correct-horse-battery")


async def test_the_last_admin_stays_and_of_two_who_put_each_other_out_one_does(
    database: Database,
) -> None:
    await ensure_admin(database.sessions, PASSWORD)
    users = Users(database.sessions)

    with pytest.raises(Conflict, match="last active admin"):
        await users.deactivate(ADMIN, ADMIN.name)
    with pytest.raises(Conflict, match="last active admin"):
        await users.set_roles(ADMIN, ADMIN.name, [Role.REVIEWER])
    await users.create(ADMIN, EVE.name, [Role.ADMIN], PASSWORD)
    with pytest.raises(Refused, match="another admin does that"):
        await users.deactivate(EVE, EVE.name)

    answers = await asyncio.gather(
        users.deactivate(ADMIN, EVE.name),
        users.set_roles(EVE, ADMIN.name, [Role.VIEWER]),
        return_exceptions=True,
    )

    [refused] = [answer for answer in answers if isinstance(answer, Refused)]
    [changed] = [answer for answer in answers if isinstance(answer, User)]
    assert "no longer an active admin" in str(refused)
    assert changed.username in (ADMIN.name, EVE.name)


async def test_what_is_no_person_manages_nobody(database: Database) -> None:
    with pytest.raises(Refused, match="Only people"):
        await Users(database.sessions).create(SYSTEM, f"x{uuid4().hex[:6]}", [Role.ADMIN])
