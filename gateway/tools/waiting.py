"""The management tool that waits until people have moved a request."""

import anyio
from pydantic import Field

from gateway.definition import Caller, ToolDefinition, ToolInput, ToolOutput
from gateway.tools.request_views import RequestStanding
from mcpbox.domain.ids import RequestId
from mcpbox.domain.requests import RequestDetail, State

MOST_SECONDS = 60
_RESTING = frozenset({State.GATHERING, State.AWAITING_DECISION, State.APPROVED, State.APPLYING})
"""In these its requester has nothing to do."""


class WaitInput(ToolInput):
    request_id: RequestId = Field(
        description="From the answer that asked, or mcpbox_list_pending_requests."
    )
    seconds: int = Field(
        default=25,
        ge=0,
        le=MOST_SECONDS,
        description="Answer after so long at the latest; keep it below your client's own limit.",
    )


class WaitOutput(RequestStanding, ToolOutput):
    moved: bool = Field(description="false: nothing to act on yet; wait again, or come back.")


async def wait_for_request(caller: Caller, given: WaitInput) -> WaitOutput:
    """Wait until people have decided a request of any kind, want changes, or said something.

    Answers at once when that has happened already. People take minutes or days: after a wait or
    two without news, tell your user that the request waits for a person, and come back later.
    """
    request = await caller.use_cases.requests.get(given.request_id)
    seen = len(request.comments)
    if _rests(request, seen) and not caller.news.full:
        request = await _when_moved(caller, request, seen, given.seconds)
    standing = RequestStanding.of(request)
    return WaitOutput(
        **dict(standing),
        moved=not _rests(request, seen),
        next=standing.request.next,
    )


async def _when_moved(
    caller: Caller, request: RequestDetail, seen: int, seconds: int
) -> RequestDetail:
    """The request as it is once it has moved, or when the time is over."""
    with (
        caller.news.of(request.id) as ear,
        anyio.move_on_after(seconds),
        caller.line.held(),
    ):
        while not caller.news.closed:
            # Looked at after the ear was there, so that nothing is missed in between.
            request = await caller.use_cases.requests.get(request.id)
            if not _rests(request, seen):
                break
            await ear.next()
    return request


def _rests(request: RequestDetail, seen: int) -> bool:
    return request.state in _RESTING and len(request.comments) == seen


WAIT_FOR_REQUEST = ToolDefinition(
    "mcpbox_wait_for_request",
    "Wait for people to decide",
    WaitInput,
    WaitOutput,
    wait_for_request,
    read_only=True,
)
