"""Accounts of people, for admins."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.people import (
    PASSWORD_MAX_LENGTH,
    PASSWORD_MIN_LENGTH,
    NewPassword,
    Role,
    User,
)
from mcpbox.domain.texts import SecretText, Text

router = APIRouter(prefix="/users", tags=["people"])
Username = Annotated[Text, Path(min_length=1, max_length=80)]
Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role))]
Password = Annotated[
    SecretText, Field(min_length=PASSWORD_MIN_LENGTH, max_length=PASSWORD_MAX_LENGTH)
]
_CHANGES = problems(NotFound, Refused, Conflict, Invalid)


class UserDraft(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    username: Annotated[Text, Field(min_length=1, max_length=80)]
    roles: Roles
    password: Password | None = None
    """Left out: one is made, and answered this once."""


class RolesBody(BaseModel):
    roles: Roles


class PasswordBody(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    password: Password | None = None
    """Left out: one is made, and answered this once."""


@router.get("", responses=problems(Refused))
async def list_users(person: PersonDep, parts: PartsDep) -> list[User]:
    """By name, inactive ones too."""
    return await parts.users.list(person)


@router.post("", status_code=201, responses=problems(Refused, Conflict, Invalid))
async def create_user(person: PersonDep, parts: PartsDep, draft: UserDraft) -> NewPassword:
    """The person signs in with it and should choose another: `POST /api/v1/auth/password`."""
    return await parts.users.create(person, draft.username, draft.roles, draft.password)


@router.put("/{username}/roles", responses=_CHANGES)
async def set_roles(
    person: PersonDep, parts: PartsDep, username: Username, body: RolesBody
) -> User:
    """All of them, in place of those before; they count at once."""
    return await parts.users.set_roles(person, username, body.roles)


@router.post("/{username}/deactivate", responses=_CHANGES)
async def deactivate_user(person: PersonDep, parts: PartsDep, username: Username) -> User:
    """Sessions and clients of the person open nothing from now on; votes stay on record."""
    return await parts.users.deactivate(person, username)


@router.post("/{username}/activate", responses=_CHANGES)
async def activate_user(person: PersonDep, parts: PartsDep, username: Username) -> User:
    """With the roles as they were."""
    return await parts.users.activate(person, username)


@router.post("/{username}/password", responses=_CHANGES)
async def reset_password(
    person: PersonDep, parts: PartsDep, username: Username, body: PasswordBody
) -> NewPassword:
    """Ends the person's sessions."""
    return await parts.users.reset_password(person, username, body.password)
