"""Management tools to ask for a publication, revise and follow it. None decides: that is I3."""

from mcp_types import InputRequiredResult
from pydantic import BaseModel, ConfigDict, Field

from gateway.definition import (
    Caller,
    Done,
    PageNumber,
    PageSize,
    ToolDefinition,
    ToolInput,
    ToolOutput,
)
from gateway.tools.request_views import RequestView
from gateway.tools.tool_status import ToolStatusInput, ToolStatusOutput, get_tool_status
from gateway.tools.waiting import WAIT_FOR_REQUEST
from mcpbox.domain.base import PageRequest
from mcpbox.domain.comments import CommentDraft
from mcpbox.domain.ids import RequestId, ToolId
from mcpbox.domain.modules import Requirement
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import TERMINAL, State
from mcpbox.domain.texts import JsonObject, Text

_MODULE_MAX_LENGTH = 100
_MODULES_MAX = 20
_UNDECIDED = frozenset({State.GATHERING, State.AWAITING_DECISION})
OPEN_STATES = tuple(state for state in State if state not in TERMINAL)


class WantedModule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    module: Text = Field(
        min_length=1, max_length=_MODULE_MAX_LENGTH, description="What the code imports."
    )
    package: Text = Field(
        default="",
        max_length=_MODULE_MAX_LENGTH,
        description="Its package on PyPI where that has another name.",
    )
    version: Text = Field(
        default="", max_length=2 * _MODULE_MAX_LENGTH, description="A version specifier."
    )


class RequestPublishInput(ToolInput):
    tool_id: ToolId = Field(description="The tool's id, from mcpbox_list_tools.")
    notes: Text = Field(
        default="",
        max_length=REASON_MAX_LENGTH,
        description="For the reviewer: what the tool is for and what changed.",
    )
    sample_arguments: JsonObject | None = Field(
        default=None,
        description=(
            "Arguments for the trial run that the reviewer sees; they must be harmless. Left out, "
            "a tool with required parameters is shown without a trial."
        ),
    )
    modules: list[WantedModule] = Field(
        default_factory=list,
        max_length=_MODULES_MAX,
        description=(
            "Modules that the code imports and its server does not have: approved together with "
            "the tool. Hosts that the code names are asked for by themselves."
        ),
    )


class RequestedPublish(Done):
    request_id: RequestId
    review_url: str = Field(description="Where people decide: show it to your user.")
    tool_id: ToolId
    name: str
    version: int
    state: State


async def request_publish(
    caller: Caller, given: RequestPublishInput
) -> RequestedPublish | InputRequiredResult:
    """Ask people to approve a tool's newest version, so that clients can call it.

    Try it with mcpbox_test_code first. Asking twice for the same version is asking once; asking
    for a newer one replaces the older request. It can take minutes or days until a person decides.
    """
    request = await caller.use_cases.requests.request_publish(
        caller.principal,
        given.tool_id,
        notes=given.notes,
        sample_arguments=given.sample_arguments,
        requirements=[
            Requirement(module=one.module, package=one.package or one.module, specifier=one.version)
            for one in given.modules
        ],
    )
    review_url = caller.review_url(request.id)
    if request.state in _UNDECIDED:
        invited = await caller.invitation.to(
            review_url, f"Publishing {request.title!r} waits for a person. Open it in the panel?"
        )
        if invited is not None:
            return invited
    return RequestedPublish(
        request_id=request.id,
        review_url=review_url,
        tool_id=given.tool_id,
        name=request.title,
        version=request.version_number or 0,
        state=request.state,
        message=f"Publishing {request.title!r} version {request.version_number} was asked for.",
        next="A person has to decide; wait with mcpbox_wait_for_request, or come back later and "
        "read mcpbox_get_tool_status.",
    )


class ReviseRequestInput(ToolInput):
    request_id: RequestId = Field(
        description="From mcpbox_get_tool_status or mcpbox_list_pending_requests."
    )
    notes: Text = Field(
        default="",
        max_length=REASON_MAX_LENGTH,
        description="For the reviewer: how the new version answers what they asked for.",
    )


class RevisedRequest(Done):
    request_id: RequestId
    version: int
    round: int
    state: State


async def revise_request(caller: Caller, given: ReviseRequestInput) -> RevisedRequest:
    """Put a tool's newest version in place of the one that an open request of yours is about.

    The request keeps its thread; votes on the older version count no more. Change the tool with
    mcpbox_update_tool first.
    """
    request = await caller.use_cases.requests.revise(
        caller.principal, given.request_id, notes=given.notes
    )
    return RevisedRequest(
        request_id=request.id,
        version=request.version_number or 0,
        round=request.round,
        state=request.state,
        message=f"Round {request.round} asks for version {request.version_number}.",
        next="A person has to decide; wait with mcpbox_wait_for_request, or come back later and "
        "read mcpbox_get_tool_status.",
    )


class CommentInput(ToolInput):
    request_id: RequestId = Field(
        description="From mcpbox_get_tool_status or mcpbox_list_pending_requests."
    )
    text: Text = Field(min_length=1, max_length=REASON_MAX_LENGTH)
    line: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Of the code that the request is about."
    )


class Commented(Done):
    request_id: RequestId


async def comment_on_request(caller: Caller, given: CommentInput) -> Commented:
    """Answer the reviewers of a request of your own, without changing what is asked."""
    await caller.use_cases.requests.comment(
        caller.principal, given.request_id, CommentDraft(text=given.text, line=given.line)
    )
    return Commented(
        request_id=given.request_id,
        message="The reviewers see your comment.",
        next="Follow the request with mcpbox_get_tool_status.",
    )


class ListRequestsInput(ToolInput):
    page: PageNumber = 1
    page_size: PageSize = 50
    include_finished: bool = Field(
        default=False, description="Also those that ended, with the reason."
    )


class ListRequestsOutput(ToolOutput):
    requests: list[RequestView]
    total: int
    page: int
    page_size: int
    pages: int


async def list_pending_requests(caller: Caller, given: ListRequestsInput) -> ListRequestsOutput:
    """List the requests that wait for a person or are being applied, newest first, of every kind.

    For one tool, with reasons and wanted changes in full, use mcpbox_get_tool_status.
    """
    page = await caller.use_cases.requests.list(
        () if given.include_finished else OPEN_STATES,
        PageRequest(page=given.page, page_size=given.page_size),
    )
    return ListRequestsOutput(
        requests=[RequestView.of(request) for request in page.items],
        total=page.total,
        page=page.page,
        page_size=page.page_size,
        pages=page.pages,
        next=(
            "People decide in the panel; nothing here can. Ask again later."
            if page.total
            else "Nothing waits. Ask for a tool with mcpbox_request_publish."
        ),
    )


class WithdrawRequestInput(ToolInput):
    request_id: RequestId = Field(
        description="From mcpbox_request_publish, mcpbox_get_tool_status or "
        "mcpbox_list_pending_requests."
    )
    reason: Text = Field(
        default="", max_length=REASON_MAX_LENGTH, description="For the record and the reviewers."
    )


class WithdrawnRequest(Done):
    request_id: RequestId
    state: State


async def withdraw_request(caller: Caller, given: WithdrawRequestInput) -> WithdrawnRequest:
    """Take back a request of your own that nobody has decided yet."""
    outcome = await caller.use_cases.requests.withdraw(
        caller.principal, given.request_id, given.reason
    )
    return WithdrawnRequest(
        request_id=outcome.request_id,
        state=outcome.state,
        message="The request was withdrawn; nothing was changed.",
        next="Ask again whenever it is ready.",
    )


REQUEST_TOOLS = (
    ToolDefinition(
        "mcpbox_request_publish",
        "Ask for publication",
        RequestPublishInput,
        RequestedPublish,
        request_publish,
        idempotent=True,
    ),
    ToolDefinition(
        "mcpbox_get_tool_status",
        "See where a tool stands",
        ToolStatusInput,
        ToolStatusOutput,
        get_tool_status,
        read_only=True,
    ),
    WAIT_FOR_REQUEST,
    ToolDefinition(
        "mcpbox_list_pending_requests",
        "List requests that wait",
        ListRequestsInput,
        ListRequestsOutput,
        list_pending_requests,
        read_only=True,
    ),
    ToolDefinition(
        "mcpbox_revise_request",
        "Revise a request",
        ReviseRequestInput,
        RevisedRequest,
        revise_request,
    ),
    ToolDefinition(
        "mcpbox_comment_on_request",
        "Answer the reviewers",
        CommentInput,
        Commented,
        comment_on_request,
    ),
    ToolDefinition(
        "mcpbox_withdraw_request",
        "Take a request back",
        WithdrawRequestInput,
        WithdrawnRequest,
        withdraw_request,
        idempotent=True,
    ),
)
