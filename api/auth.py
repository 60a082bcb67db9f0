"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PartsDep, PersonDep, TokenDep
from api.problems import problems
from mcpbox.domain.errors import Invalid, Refused, TooManyAttempts
from mcpbox.domain.people import PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH, Delegator
from mcpbox.domain.texts import SecretText, Text
from mcpbox.usecases.people import Tokens

router = APIRouter(prefix="/auth", tags=["auth"])


class Credentials(BaseModel):
    username: Annotated[Text, Field(min_length=1, max_length=80)]
    password: Annotated[SecretText, Field(min_length=1, max_length=1024)]


class RefreshBody(BaseModel):
    refresh_token: Annotated[str, Field(min_length=1, max_length=200)]


class NewPasswordBody(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    current: Annotated[SecretText, Field(min_length=1, max_length=PASSWORD_MAX_LENGTH)]
    new: Annotated[
        SecretText, Field(min_length=PASSWORD_MIN_LENGTH, max_length=PASSWORD_MAX_LENGTH)
    ]


class TokensBody(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind of token, not one
    expires_in: int


class Me(BaseModel):
    username: str
    roles: list[str]
    stands_in_for: tuple[Delegator, ...] = ()
    """People who are away, whose deputy the caller is now."""


@router.post("/login", responses=problems(TooManyAttempts))
async def login(credentials: Credentials, parts: PartsDep) -> TokensBody:
    """Both tokens are shown here only."""
    return _body(await parts.people.login(credentials.username, credentials.password))


@router.post("/refresh", responses=problems())
async def refresh(body: RefreshBody, parts: PartsDep) -> TokensBody:
    """New tokens for a refresh token, which works once."""
    return _body(await parts.people.refresh(body.refresh_token))


@router.post("/logout", status_code=204, responses=problems())
async def logout(token: TokenDep, parts: PartsDep) -> None:
    """Ends the session at once, everywhere."""
    await parts.people.logout(token)


@router.post("/password", status_code=204, responses=problems(Refused, TooManyAttempts, Invalid))
async def change_password(person: PersonDep, body: NewPasswordBody, parts: PartsDep) -> None:
    """The caller's own; ends every session of theirs, so sign in again."""
    await parts.people.change_password(person, body.current, body.new)


@router.get("/me", responses=problems())
async def me(person: PersonDep) -> Me:
    return Me(username=person.name, roles=sorted(person.roles), stands_in_for=person.stands_in_for)


def _body(tokens: Tokens) -> TokensBody:
    return TokensBody(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
    )
