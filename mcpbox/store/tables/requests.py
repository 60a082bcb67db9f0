"""Tables of change requests: the projection, its rounds, decisions and comments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class RequestRow(Row):
    """The projection of a change request workflow, written by its activities alone."""

    __tablename__ = "change_requests"
    __table_args__ = (
        Index("ix_change_requests_state_created_at", "state", "created_at"),
        Index("ix_change_requests_tool_id_created_at", "tool_id", "created_at"),
        Index("ix_change_requests_created_at", "created_at"),
        Index("ix_change_requests_server_id_kind", "server_id", "kind"),
        Index(
            "ix_change_requests_workflow_id_prefix",
            "workflow_id",
            postgresql_ops={"workflow_id": "text_pattern_ops"},
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workflow_id: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    state: Mapped[str]
    state_reason: Mapped[str]
    server_id: Mapped[UUID] = mapped_column(ForeignKey("servers.id"))
    subject: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """What the columns below do not say of it."""
    tool_id: Mapped[UUID | None] = mapped_column(ForeignKey("tools.id"))
    version_id: Mapped[UUID | None] = mapped_column(ForeignKey("tool_versions.id"))
    released_version_id: Mapped[UUID | None] = mapped_column(ForeignKey("tool_versions.id"))
    digest: Mapped[str]
    requester: Mapped[str]
    notes: Mapped[str]
    quorum: Mapped[int]
    risk: Mapped[str | None]
    needs: Mapped[dict[str, Any]]
    granted: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """The part of ``needs`` that was approved; nothing means all of it."""
    granted_days: Mapped[int | None]
    """How long the approved grants hold, where people shortened it."""
    policy_version: Mapped[int] = mapped_column(server_default="0")
    """The review policy in force when it opened; it is judged by that one."""
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What it was judged by, a :class:`mcpbox.domain.review_policy.ReviewFacts`, once presented."""
    round: Mapped[int] = mapped_column(server_default="1")
    terms: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """A :class:`mcpbox.domain.review.ReviewTerms`, once it is presented."""
    authors: Mapped[list[str]] = mapped_column(server_default="{}")
    owners: Mapped[list[str]] = mapped_column(server_default="{}")
    assignee: Mapped[str | None]
    escalated_at: Mapped[datetime | None]
    review_afterwards: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class DecisionRow(Row):
    __tablename__ = "decisions"

    request_id: Mapped[UUID] = mapped_column(ForeignKey("change_requests.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    reviewer: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    seen_digest: Mapped[str]
    channel: Mapped[str]
    probation: Mapped[dict[str, Any] | None]
    granted_days: Mapped[int | None]
    decided_at: Mapped[datetime]
    round: Mapped[int] = mapped_column(server_default="1")
    refused: Mapped[list[str]] = mapped_column(server_default="{}")
    break_glass: Mapped[bool] = mapped_column(server_default="false")
    on_behalf_of: Mapped[str | None]
    retracted_at: Mapped[datetime | None]


class RoundRow(Row):
    """What was asked in one round; the evidence of a round that is over is kept with it."""

    __tablename__ = "request_rounds"

    request_id: Mapped[UUID] = mapped_column(ForeignKey("change_requests.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[UUID | None] = mapped_column(ForeignKey("tool_versions.id"))
    digest: Mapped[str]
    notes: Mapped[str]
    opened_at: Mapped[datetime]
    evidence: Mapped[list[dict[str, Any]]]


class CommentRow(Row):
    __tablename__ = "request_comments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(ForeignKey("change_requests.id"), index=True)
    author: Mapped[str]
    text: Mapped[str]
    line: Mapped[int | None]
    digest: Mapped[str]
    round: Mapped[int]
    decision_id: Mapped[UUID | None]
    commented_at: Mapped[datetime]
