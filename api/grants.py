"""Grants: what a server's tools may use, and taking it back."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.deps import PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.grants import Grant
from mcpbox.domain.ids import GrantId, ServerId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.texts import Text

router = APIRouter(tags=["grants"])


class Revocation(BaseModel):
    reason: Annotated[Text, Field(min_length=1, max_length=REASON_MAX_LENGTH)]


@router.get("/servers/{server_id}/grants", responses=problems(NotFound))
async def list_grants(
    _: PersonDep, parts: PartsDep, page: PageDep, server_id: ServerId, *, ended: bool = False
) -> Page[Grant]:
    """By kind and value; ``ended``: also those that hold no more."""
    return await parts.grants.list(server_id, page, ended=ended)


@router.post(
    "/grants/{grant_id}/revocation", responses=problems(NotFound, Refused, Conflict, Invalid)
)
async def revoke_grant(
    person: PersonDep, parts: PartsDep, grant_id: GrantId, body: Revocation
) -> Grant:
    """Take a grant back; for reviewers, operators and admins. It acts at once, on calls too."""
    return await parts.grants.revoke(person, grant_id, body.reason)
