"""The management tool that says where a tool stands, and why."""

from pydantic import Field

from gateway.definition import Caller, ToolInput, ToolOutput
from gateway.findings import CheckView, FindingView, checks_of, findings_of
from gateway.tools.next_steps import next_step
from gateway.tools.request_views import (
    CommentView,
    DecisionView,
    RequestView,
    denial_reason_of,
    refused_of,
    requested_changes_of,
)
from mcpbox.domain.base import PageRequest
from mcpbox.domain.ids import ToolId
from mcpbox.domain.requests import RequestDetail, State
from mcpbox.domain.subjects import Kind
from mcpbox.domain.tools import Approval, ToolDetail
from mcpbox.policies.probation import in_words


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
        denial_reason=denial_reason_of(request) if request else None,
        requested_changes=requested_changes_of(request) if request else [],
        comments=[CommentView.of(one, request) for one in request.comments] if request else [],
        missing_hosts=list(request.needs.hosts) if request else [],
        probation=None if tool.probation is None else in_words(tool.probation),
        risk_score=request.score.points if request and request.score else None,
        checks=checks_of(request.evidence) if request else [],
        findings=findings_of(request.evidence) if request else [],
        refused=refused_of(request) if request else [],
        next=_after_status(tool, request),
    )


def _after_status(tool: ToolDetail, request: RequestDetail | None) -> str:
    if request is not None and request.kind is not Kind.PUBLISH and not request.state.terminal:
        return next_step(request.kind, request.state)
    if tool.held_back:
        return tool.held_back
    if request is not None and request.version_number == tool.current_version:
        if request.state is State.APPLIED and (refused := refused_of(request)):
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
