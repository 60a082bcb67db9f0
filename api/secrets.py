"""Secrets of servers: people set, rotate and delete their values, and nobody reads one back."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api.deps import PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.errors import Invalid, NotFound, Refused
from mcpbox.domain.ids import ServerId
from mcpbox.domain.secrets import NAME_MAX_LENGTH, VALUE_MAX_LENGTH, Secret

router = APIRouter(prefix="/servers/{server_id}/secrets", tags=["secrets"])
Name = Annotated[str, Path(min_length=1, max_length=NAME_MAX_LENGTH, pattern="^[A-Z][A-Z0-9_]*$")]


class SecretValue(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    value: SecretStr = Field(min_length=1, max_length=VALUE_MAX_LENGTH)


@router.get("", responses=problems(NotFound))
async def list_secrets(_: PersonDep, parts: PartsDep, server_id: ServerId) -> list[Secret]:
    """By name: where each may be sent, whether it is set, and never its value."""
    return await parts.secrets.list(server_id)


@router.put("/{name}", responses=problems(NotFound, Refused, Invalid))
async def set_secret(
    person: PersonDep, parts: PartsDep, server_id: ServerId, name: Name, body: SecretValue
) -> Secret:
    """Set or rotate its value; for operators and admins. The next call uses it."""
    return await parts.secrets.set_value(person, server_id, name, body.value)


@router.delete("/{name}", status_code=204, responses=problems(NotFound, Refused))
async def delete_secret(
    person: PersonDep, parts: PartsDep, server_id: ServerId, name: Name
) -> None:
    """Value, placeholder and grant are gone at once; for operators and admins."""
    await parts.secrets.delete(person, server_id, name)
