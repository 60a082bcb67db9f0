"""Change requests: the queue, one of them whole, and all that people do about it."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.deps import ChannelDep, DeciderDep, PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.comments import Comment, CommentDraft
from mcpbox.domain.decisions import DecisionDraft
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.ids import RequestId, ToolId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import (
    BATCH_MAX,
    Outcome,
    RequestDetail,
    RequestSummary,
    ReviewAfterwards,
    State,
)
from mcpbox.domain.texts import Text
from mcpbox.usecases.reviewing import BatchAnswer, BatchItem

_Text = Annotated[Text, Field(max_length=REASON_MAX_LENGTH)]
router = APIRouter(prefix="/requests", tags=["requests"])


class Withdrawal(BaseModel):
    reason: _Text = ""


class Revision(BaseModel):
    notes: _Text = ""


class Assignment(BaseModel):
    username: Annotated[Text, Field(min_length=1, max_length=80)]


class Note(BaseModel):
    note: _Text = ""


class Batch(BaseModel):
    items: Annotated[list[BatchItem], Field(min_length=1, max_length=BATCH_MAX)]
    reason: _Text = ""


@router.get("", responses=problems())
async def list_requests(
    _: PersonDep,
    parts: PartsDep,
    page: PageDep,
    state: Annotated[list[State], Query()] = [],  # noqa: B006 - FastAPI copies it
    tool_id: ToolId | None = None,
    review_afterwards: ReviewAfterwards | None = None,
) -> Page[RequestSummary]:
    """Newest first; ``state`` may be repeated, and left out it means all.

    ``review_afterwards=open`` lists the forced approvals that another person has to look at.
    """
    return await parts.requests.list(state, page, tool_id, review_afterwards)


@router.post("/batch-approvals", responses=problems(Invalid))
async def approve_batch(
    person: PersonDep, channel: ChannelDep, parts: PartsDep, body: Batch
) -> list[BatchAnswer]:
    """Approve several requests of low risk; each is decided, or refused, by itself."""
    return await parts.reviewing.approve_batch(person, channel, body.items, body.reason)


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
    decider: DeciderDep,
    channel: ChannelDep,
    parts: PartsDep,
    request_id: RequestId,
    draft: DecisionDraft,
) -> Outcome:
    """Record the caller's decision; the same decision id again changes nothing.

    Answers when it has taken effect: ``applied`` means that the tool can be called.
    """
    return await parts.requests.decide(decider, channel, request_id, draft)


@router.post("/{request_id}/withdrawal", responses=problems(NotFound, Refused, Conflict))
async def withdraw(
    person: PersonDep, parts: PartsDep, request_id: RequestId, body: Withdrawal
) -> Outcome:
    """End a request that nobody has decided; for admins."""
    return await parts.requests.withdraw(person, request_id, body.reason)


@router.delete("/{request_id}/decisions/mine", responses=problems(NotFound, Refused, Conflict))
async def retract(
    person: PersonDep, channel: ChannelDep, parts: PartsDep, request_id: RequestId
) -> Outcome:
    """Take back the caller's own vote, as long as nothing is decided; it stays on record."""
    return await parts.requests.retract(person, channel, request_id)


@router.post("/{request_id}/revision", responses=problems(NotFound, Refused, Conflict, Invalid))
async def revise(
    person: PersonDep, parts: PartsDep, request_id: RequestId, body: Revision
) -> RequestSummary:
    """Ask for the newest version of the tool instead, in a new round; for its requester."""
    return await parts.requests.revise(person, request_id, notes=body.notes)


@router.post(
    "/{request_id}/comments", status_code=201, responses=problems(NotFound, Refused, Conflict)
)
async def comment(
    person: PersonDep, parts: PartsDep, request_id: RequestId, draft: CommentDraft
) -> Comment:
    """Say something about the request, or about one line of its code, without deciding."""
    return await parts.requests.comment(person, request_id, draft)


@router.put("/{request_id}/assignee", responses=problems(NotFound, Refused, Conflict, Invalid))
async def assign(
    person: PersonDep, parts: PartsDep, request_id: RequestId, body: Assignment
) -> RequestSummary:
    """Ask a person who may decide it to do so; others still may."""
    return await parts.reviewing.assign(person, request_id, body.username)


@router.post("/{request_id}/review-afterwards", responses=problems(NotFound, Refused, Conflict))
async def review_afterwards(
    person: PersonDep, parts: PartsDep, request_id: RequestId, body: Note
) -> RequestSummary:
    """Say that one has looked at an approval that somebody else forced."""
    return await parts.reviewing.review_afterwards(person, request_id, body.note)
