"""Deputies: who decides while a person is away."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from api.deps import PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.errors import Invalid, NotFound
from mcpbox.domain.people import Delegation
from mcpbox.domain.texts import Text

router = APIRouter(prefix="/delegations", tags=["people"])


class Deputy(BaseModel):
    deputy: Annotated[Text, Field(min_length=1, max_length=80)]
    until: AwareDatetime


@router.get("", responses=problems())
async def list_delegations(person: PersonDep, parts: PartsDep) -> list[Delegation]:
    """Those that run now, of the caller and to the caller."""
    return await parts.reviewing.delegations(person)


@router.put("/mine", responses=problems(NotFound, Invalid))
async def delegate(person: PersonDep, parts: PartsDep, body: Deputy) -> Delegation:
    """Name who decides with the caller's roles until then; it replaces an earlier one."""
    until: datetime = body.until
    return await parts.reviewing.delegate(person, body.deputy, until)


@router.delete("/mine", status_code=204, responses=problems())
async def end_delegation(person: PersonDep, parts: PartsDep) -> None:
    """The caller is back."""
    await parts.reviewing.end_delegation(person)
