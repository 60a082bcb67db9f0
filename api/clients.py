"""Credentials of MCP clients: admins see and make everybody's, others their own."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from api.deps import PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.people import Client, NewClient, Scope
from mcpbox.domain.texts import Text
from mcpbox.usecases.clients import MAX_DAYS, MAX_GRACE

router = APIRouter(prefix="/clients", tags=["people"])
Name = Annotated[Text, Path(min_length=1, max_length=80)]


class ClientDraft(BaseModel):
    name: Annotated[Text, Field(min_length=1, max_length=80)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    owner: Annotated[Text, Field(max_length=80)] = ""
    """User name of the person whom it acts for; left out: the caller."""
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None
    """How long its token is good; left out: until somebody revokes it."""
    servers: Annotated[list[Text], Field(max_length=100)] = []
    """Names of the only servers whose tools it calls; with the scope ``call`` alone."""


class Rotation(BaseModel):
    grace_minutes: Annotated[int, Field(ge=0, le=int(MAX_GRACE.total_seconds() // 60))] = 0
    """How long the old token stays good beside the new one."""
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None
    """How long the new token is good; left out, it ends when the old one would have."""


@router.get("", responses=problems())
async def list_clients(person: PersonDep, parts: PartsDep) -> list[Client]:
    """By name, revoked ones too."""
    return await parts.clients.list(person)


@router.post("", status_code=201, responses=problems(NotFound, Refused, Conflict, Invalid))
async def create_client(person: PersonDep, parts: PartsDep, draft: ClientDraft) -> NewClient:
    """Its token opens the gateway, with these scopes and nothing else."""
    client, token = await parts.clients.create(
        person,
        name=draft.name,
        owner=draft.owner or person.name,
        scopes=draft.scopes,
        days=draft.days,
        servers=draft.servers,
    )
    return NewClient(client=client, token=token)


@router.post("/{name}/rotate", responses=problems(NotFound, Refused, Conflict, Invalid))
async def rotate_client(
    person: PersonDep, parts: PartsDep, name: Name, body: Rotation
) -> NewClient:
    """A new token; the old one ends at once, or when its grace is over."""
    client, token = await parts.clients.rotate(
        person, name, grace=timedelta(minutes=body.grace_minutes), days=body.days
    )
    return NewClient(client=client, token=token)


@router.post("/{name}/revoke", responses=problems(NotFound))
async def revoke_client(person: PersonDep, parts: PartsDep, name: Name) -> Client:
    """Its token is worthless at once, on every gateway; connections end."""
    return await parts.clients.revoke(person, name)
