"""Change requests: the queue, one of them whole, deciding, withdrawing."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.deps import ChannelDep, PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.ids import RequestId, ToolId
from mcpbox.domain.requests import (
    REASON_MAX_LENGTH,
    DecisionDraft,
    Outcome,
    RequestDetail,
    RequestSummary,
    State,
)
from mcpbox.domain.texts import Text

router = APIRouter(prefix="/requests", tags=["requests"])


class Withdrawal(BaseModel):
    reason: Annotated[Text, Field(max_length=REASON_MAX_LENGTH)] = ""


@router.get("", responses=problems())
async def list_requests(
    _: PersonDep,
    parts: PartsDep,
    page: PageDep,
    state: Annotated[list[State], Query()] = [],  # noqa: B006 - FastAPI copies it
    tool_id: ToolId | None = None,
) -> Page[RequestSummary]:
    """Newest first; ``state`` may be repeated, and left out it means all."""
    return await parts.requests.list(state, page, tool_id)


@router.get("/{request_id}", responses=problems(NotFound))
async def get_request(_: PersonDep, parts: PartsDep, request_id: RequestId) -> RequestDetail:
    """With both versions, the evidence, the decisions and the history."""
    return await parts.requests.get(request_id)


@router.post(
    "/{request_id}/decisions",
    status_code=201,
    responses=problems(NotFound, Refused, Conflict, Invalid),
)
async def decide(
    person: PersonDep,
    channel: ChannelDep,
    parts: PartsDep,
    request_id: RequestId,
    draft: DecisionDraft,
) -> Outcome:
    """Record the caller's decision; the same decision id again changes nothing.

    Answers when it has taken effect: ``applied`` means that the tool can be called.
    """
    return await parts.requests.decide(person, channel, request_id, draft)


@router.post("/{request_id}/withdrawal", responses=problems(NotFound, Refused, Conflict))
async def withdraw(
    person: PersonDep, parts: PartsDep, request_id: RequestId, body: Withdrawal
) -> Outcome:
    """End a request that nobody has decided; for admins."""
    return await parts.requests.withdraw(person, request_id, body.reason)
