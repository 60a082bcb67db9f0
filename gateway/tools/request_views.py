"""Requests, decisions and comments as management tools show them."""

from datetime import datetime

from pydantic import BaseModel, Field

from gateway.tools.next_steps import next_step
from mcpbox.domain.comments import Comment
from mcpbox.domain.decisions import Decision
from mcpbox.domain.evidence import Risk
from mcpbox.domain.ids import RequestId, ToolId
from mcpbox.domain.requests import RequestDetail, RequestSummary, State
from mcpbox.domain.subjects import Kind
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.review import standing_votes


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


class RequestStanding(BaseModel):
    """All that its requester is told of one request."""

    request: RequestView
    decisions: list[DecisionView] = Field(description="Oldest first.")
    comments: list[CommentView] = Field(description="Oldest first.")
    denial_reason: str | None
    requested_changes: list[str] = Field(description="What reviewers want changed.")
    refused: list[str] = Field(description="What was not granted when the rest was approved.")

    @classmethod
    def of(cls, request: RequestDetail) -> "RequestStanding":
        return RequestStanding(
            request=RequestView.of(request),
            decisions=[DecisionView.of(one, request) for one in request.decisions],
            comments=[CommentView.of(one, request) for one in request.comments],
            denial_reason=denial_reason_of(request),
            requested_changes=requested_changes_of(request),
            refused=refused_of(request),
        )


def denial_reason_of(request: RequestDetail) -> str | None:
    if request.state not in (State.DENIED, State.VETOED):
        return None
    return request.state_reason or " ".join(_reasons(request, Verdict.DENY))


def requested_changes_of(request: RequestDetail) -> list[str]:
    if request.state is not State.CHANGES_REQUESTED:
        return []
    return _reasons(request, Verdict.REQUEST_CHANGES) or [request.state_reason]


def refused_of(request: RequestDetail) -> list[str]:
    """What was not granted when the rest was approved."""
    if request.granted is None:
        return []
    return [item for item in request.needs.items if item not in request.granted.items]


def _reasons(request: RequestDetail, verdict: Verdict) -> list[str]:
    votes = standing_votes(request.decisions, request.round)
    return [vote.reason for vote in votes if vote.verdict is verdict]
