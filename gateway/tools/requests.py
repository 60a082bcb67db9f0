"""Management tools to ask for a publication, revise and follow it. None decides: that is I3."""

from datetime import datetime

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
from gateway.findings import CheckView, FindingView, checks_of, findings_of
from gateway.tools.next_steps import next_step
from mcpbox.domain.base import PageRequest
from mcpbox.domain.evidence import Risk
from mcpbox.domain.ids import RequestId, ToolId
from mcpbox.domain.modules import Requirement
from mcpbox.domain.requests import (
    REASON_MAX_LENGTH,
    TERMINAL,
    Comment,
    CommentDraft,
    Decision,
    Kind,
    RequestDetail,
    RequestSummary,
    State,
    Verdict,
)
from mcpbox.domain.texts import JsonObject, Text
from mcpbox.domain.tools import Approval, ToolDetail
from mcpbox.policies.probation import in_words
from mcpbox.policies.review import standing_votes

_MODULE_MAX_LENGTH = 100
_MODULES_MAX = 20
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
    tool_id: ToolId
    name: str
    version: int
    state: State


async def request_publish(caller: Caller, given: RequestPublishInput) -> RequestedPublish:
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
    return RequestedPublish(
        request_id=request.id,
        tool_id=given.tool_id,
        name=request.title,
        version=request.version_number or 0,
        state=request.state,
        message=f"Publishing {request.title!r} version {request.version_number} was asked for.",
        next="A person has to decide; follow it with mcpbox_get_tool_status.",
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
        next="A person has to decide; follow it with mcpbox_get_tool_status.",
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


class CommentView(BaseModel):
    author: str
    text: str
    line: int | None
    on_this_version: bool = Field(description="false: it is about an earlier round.")

    @classmethod
    def of(cls, comment: Comment, request: RequestDetail) -> "CommentView":
        return cls(
            author=comment.author,
            text=comment.text,
            line=comment.line,
            on_this_version=comment.digest == request.digest,
        )


class DecisionView(BaseModel):
    verdict: Verdict
    reviewer: str
    reason: str
    decided_at: datetime
    round: int
    counts: bool = Field(description="false: it was taken back, or is about an earlier round.")

    @classmethod
    def of(cls, decision: Decision, request: RequestDetail) -> "DecisionView":
        return cls(
            verdict=decision.verdict,
            reviewer=decision.reviewer,
            reason=decision.reason,
            decided_at=decision.decided_at,
            round=decision.round,
            counts=decision.round == request.round and decision.retracted_at is None,
        )


class RequestView(BaseModel):
    id: RequestId
    kind: Kind
    title: str = Field(description="What it is about.")
    server_name: str
    tool_id: ToolId | None = Field(description="null where it is not about a tool.")
    tool_name: str | None
    version: int | None
    state: State
    state_reason: str = Field(description="Why it is in this state, in words.")
    requester: str
    notes: str
    round: int = Field(description="Counted from 1; a revision begins the next.")
    risk: Risk | None = Field(description="null until the evidence is complete.")
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    next: str

    @classmethod
    def of(cls, request: RequestSummary) -> "RequestView":
        return cls(
            id=request.id,
            kind=request.kind,
            title=request.title,
            server_name=request.server_name,
            tool_id=request.tool_id,
            tool_name=request.tool_name,
            version=request.version_number,
            state=request.state,
            state_reason=request.state_reason,
            requester=request.requester,
            notes=request.notes,
            round=request.round,
            risk=request.risk,
            created_at=request.created_at,
            updated_at=request.updated_at,
            expires_at=request.expires_at,
            next=next_step(request.kind, request.state),
        )


class ToolStatusInput(ToolInput):
    tool_id: ToolId = Field(description="The tool's id, from mcpbox_list_tools.")


class ToolStatusOutput(ToolOutput):
    tool_id: ToolId
    name: str
    callable_name: str
    enabled: bool
    approval_status: Approval
    current_version: int
    released_version: int | None
    request: RequestView | None = Field(description="The newest request about this tool.")
    decisions: list[DecisionView] = Field(description="On that request, oldest first.")
    denial_reason: str | None
    requested_changes: list[str] = Field(description="What reviewers want changed.")
    comments: list[CommentView] = Field(description="On that request, oldest first.")
    missing_hosts: list[str] = Field(description="Hosts that approving would grant besides.")
    probation: str | None = Field(
        description="For how long it was approved, or how that ended; null: for good."
    )
    risk_score: int | None = Field(description="0 to 100; null until the evidence is complete.")
    checks: list[CheckView] = Field(description="What was checked for the reviewers.")
    findings: list[FindingView] = Field(
        description="What the checks found; mend what can be mended before a person asks."
    )
    refused: list[str] = Field(
        description="What was not granted when the rest was approved: do without it."
    )


async def get_tool_status(caller: Caller, given: ToolStatusInput) -> ToolStatusOutput:
    """See where a tool stands: approval status, its request, reasons and wanted changes."""
    tool = await caller.use_cases.tools.get(given.tool_id)
    newest = await caller.use_cases.requests.list((), PageRequest(page_size=1), given.tool_id)
    request = await caller.use_cases.requests.get(newest.items[0].id) if newest.items else None
    return ToolStatusOutput(
        tool_id=tool.id,
        name=tool.name,
        callable_name=tool.callable_name,
        enabled=tool.enabled,
        approval_status=tool.approval,
        current_version=tool.current_version,
        released_version=tool.released_version,
        request=RequestView.of(request) if request else None,
        decisions=[DecisionView.of(one, request) for one in request.decisions] if request else [],
        denial_reason=_denial_reason(request),
        requested_changes=_requested_changes(request),
        comments=[CommentView.of(one, request) for one in request.comments] if request else [],
        missing_hosts=list(request.needs.hosts) if request else [],
        probation=None if tool.probation is None else in_words(tool.probation),
        risk_score=request.score.points if request and request.score else None,
        checks=checks_of(request.evidence) if request else [],
        findings=findings_of(request.evidence) if request else [],
        refused=_refused(request),
        next=_after_status(tool, request),
    )


def _denial_reason(request: RequestDetail | None) -> str | None:
    if request is None or request.state not in (State.DENIED, State.VETOED):
        return None
    return request.state_reason or " ".join(_reasons(request, Verdict.DENY))


def _requested_changes(request: RequestDetail | None) -> list[str]:
    if request is None or request.state is not State.CHANGES_REQUESTED:
        return []
    return _reasons(request, Verdict.REQUEST_CHANGES) or [request.state_reason]


def _refused(request: RequestDetail | None) -> list[str]:
    if request is None or request.granted is None:
        return []
    return [item for item in request.needs.items if item not in request.granted.items]


def _reasons(request: RequestDetail, verdict: Verdict) -> list[str]:
    votes = standing_votes(request.decisions, request.round)
    return [vote.reason for vote in votes if vote.verdict is verdict]


def _after_status(tool: ToolDetail, request: RequestDetail | None) -> str:
    if request is not None and request.kind is not Kind.PUBLISH and not request.state.terminal:
        return next_step(request.kind, request.state)
    if tool.held_back:
        return tool.held_back
    if request is not None and request.version_number == tool.current_version:
        if request.state is State.APPLIED and (refused := _refused(request)):
            return (
                f"It was approved without {', '.join(refused)}: change the code so that it does "
                "not need that, then ask again."
            )
        if request.state is State.APPLIED and not tool.enabled:
            return "It is approved but disabled: mcpbox_update_tool with enabled true brings it."
        if request.state is State.APPLIED:
            return f"Call it as {tool.callable_name}; start its server if it is stopped."
        return next_step(Kind.PUBLISH, request.state)
    return (
        f"Nobody was asked about version {tool.current_version} yet: try it with "
        "mcpbox_test_code, then ask with mcpbox_request_publish."
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
