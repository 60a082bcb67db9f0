"""Table definitions: the only declarative models; :mod:`migrations` makes the same tables.

Enumerations are text, not Postgres enums: a new word needs no lock on the table. What keeps the
order of its keys for people (schemas, facts) is ``JSON``; what is only looked at is ``JSONB``.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this attribute itself
        datetime: DateTime(timezone=True),
        str: Text,
        list[str]: ARRAY(Text),
        dict[str, Any]: JSON(none_as_null=True),
        list[dict[str, Any]]: JSON,
    }


class UserRow(Row):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    roles: Mapped[list[str]]
    active: Mapped[bool]
    created_at: Mapped[datetime]


class SessionRow(Row):
    """A login; both tokens are kept as hashes and end together."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    access_hash: Mapped[str] = mapped_column(unique=True)
    refresh_hash: Mapped[str] = mapped_column(unique=True)
    access_expires_at: Mapped[datetime]
    refresh_expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ClientRow(Row):
    __tablename__ = "clients"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    scopes: Mapped[list[str]]
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ServerRow(Row):
    __tablename__ = "servers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str]
    kind: Mapped[str]
    desired_state: Mapped[str]
    isolation: Mapped[str] = mapped_column(server_default="call")
    module_set: Mapped[str | None] = mapped_column(ForeignKey("module_sets.digest"))
    """All that its granted modules need, installed together."""
    stopped_at: Mapped[datetime | None]
    stopped_by: Mapped[str | None]
    stop_reason: Mapped[str | None]
    quarantined_at: Mapped[datetime | None]
    quarantined_by: Mapped[str | None]
    quarantine_reason: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ToolRow(Row):
    """Deleted ones stay: releases, requests and executions name them for ever."""

    __tablename__ = "tools"
    __table_args__ = (
        Index(
            "uq_tools_server_id_name",
            "server_id",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    server_id: Mapped[UUID] = mapped_column(ForeignKey("servers.id"))
    name: Mapped[str]
    enabled: Mapped[bool]
    disabled_at: Mapped[datetime | None]
    disabled_by: Mapped[str | None]
    disable_reason: Mapped[str | None]
    quarantined_at: Mapped[datetime | None]
    quarantined_by: Mapped[str | None]
    quarantine_reason: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class VersionRow(Row):
    """Never updated."""

    __tablename__ = "tool_versions"
    __table_args__ = (UniqueConstraint("tool_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tool_id: Mapped[UUID] = mapped_column(ForeignKey("tools.id"))
    number: Mapped[int]
    name: Mapped[str]
    description: Mapped[str]
    code: Mapped[str]
    input_schema: Mapped[dict[str, Any]]
    annotations: Mapped[dict[str, Any]]
    manifest: Mapped[dict[str, Any]]
    digest: Mapped[str]
    author: Mapped[str]
    created_at: Mapped[datetime]


class SampleRow(Row):
    """Arguments the author gives for the trial that reviewers see; the newest ones count."""

    __tablename__ = "trial_samples"

    version_id: Mapped[UUID] = mapped_column(ForeignKey("tool_versions.id"), primary_key=True)
    arguments: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class RequestRow(Row):
    """The projection of a change request workflow, written by its activities alone."""

    __tablename__ = "change_requests"
    __table_args__ = (
        Index("ix_change_requests_state_created_at", "state", "created_at"),
        Index("ix_change_requests_tool_id_created_at", "tool_id", "created_at"),
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


class PolicyRow(Row):
    """Never updated: a change of the review policy adds the next version."""

    __tablename__ = "review_policies"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1; version 0 is built in and has no row."""
    policy: Mapped[dict[str, Any]]
    """A :class:`mcpbox.domain.review_policy.ReviewPolicy`."""
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]
    reason: Mapped[str]


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


class DelegationRow(Row):
    __tablename__ = "delegations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    delegator: Mapped[str] = mapped_column(ForeignKey("users.username"))
    deputy: Mapped[str] = mapped_column(ForeignKey("users.username"), index=True)
    until: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class EvidenceRow(Row):
    __tablename__ = "evidence"

    request_id: Mapped[UUID] = mapped_column(ForeignKey("change_requests.id"), primary_key=True)
    check: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    status: Mapped[str]
    summary: Mapped[str]
    findings: Mapped[list[dict[str, Any]]]
    facts: Mapped[dict[str, Any]]
    hosts: Mapped[list[dict[str, Any]]] = mapped_column(server_default="[]")
    runs: Mapped[list[dict[str, Any]]] = mapped_column(server_default="[]")
    checked_at: Mapped[datetime]


class GrantRow(Row):
    __tablename__ = "grants"
    __table_args__ = (
        Index(
            "uq_grants_live",
            "server_id",
            "kind",
            "value",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    server_id: Mapped[UUID] = mapped_column(ForeignKey("servers.id"))
    kind: Mapped[str]
    value: Mapped[str]
    request_id: Mapped[UUID] = mapped_column(ForeignKey("change_requests.id"), index=True)
    granted_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    """When it was revoked, or, of one with an end, when that was noted."""
    revoked_by: Mapped[str | None]
    revoke_reason: Mapped[str | None]


class SecretRow(Row):
    """Its hosts never change: people approved the name with them."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("server_id", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    server_id: Mapped[UUID] = mapped_column(ForeignKey("servers.id"))
    name: Mapped[str]
    hosts: Mapped[list[str]]
    key_id: Mapped[str | None]
    sealed: Mapped[bytes | None]
    """AES-256-GCM, bound to server and name; nothing until a person sets the value."""
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    set_by: Mapped[str | None]
    set_at: Mapped[datetime | None]


class WheelRow(Row):
    """Kept here, so that any sandbox can be given it again."""

    __tablename__ = "wheels"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    filename: Mapped[str]
    content: Mapped[bytes]
    created_at: Mapped[datetime]


class ModuleSetRow(Row):
    """Never updated: its digest names the wheels it is made of."""

    __tablename__ = "module_sets"

    digest: Mapped[str] = mapped_column(primary_key=True)
    lock: Mapped[dict[str, Any]]
    """A :class:`mcpbox.domain.modules.WheelLock`."""
    created_at: Mapped[datetime]


class ReleaseRow(Row):
    __tablename__ = "releases"
    __table_args__ = (
        Index(
            "uq_releases_active",
            "tool_id",
            unique=True,
            postgresql_where=text("active_to IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tool_id: Mapped[UUID] = mapped_column(ForeignKey("tools.id"))
    version_id: Mapped[UUID] = mapped_column(ForeignKey("tool_versions.id"))
    request_id: Mapped[UUID] = mapped_column(ForeignKey("change_requests.id"), unique=True)
    digest: Mapped[str]
    approved_by: Mapped[str]
    receipt: Mapped[str | None]
    """Without one the sandbox does not run it."""
    active_from: Mapped[datetime]
    active_to: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None]
    revoke_reason: Mapped[str | None]


class ProbationRow(Row):
    """Of a release that ends by itself; the release says when it did."""

    __tablename__ = "probations"
    __table_args__ = (
        Index("ix_probations_open", "began_at", postgresql_where=text("closed_at IS NULL")),
    )

    release_id: Mapped[UUID] = mapped_column(ForeignKey("releases.id"), primary_key=True)
    tool_id: Mapped[UUID] = mapped_column(ForeignKey("tools.id"), index=True)
    terms: Mapped[dict[str, Any]]
    began_at: Mapped[datetime]
    until: Mapped[datetime | None]
    calls: Mapped[int]
    errors: Mapped[int]
    undeclared: Mapped[list[str]]
    ended_at: Mapped[datetime | None]
    cause: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    """Nothing is left to do: a new request was opened, or none is due."""


class ExecutionRow(Row):
    __tablename__ = "executions"
    __table_args__ = (Index("ix_executions_tool_id_started_at", "tool_id", "started_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tool_id: Mapped[UUID] = mapped_column(ForeignKey("tools.id"))
    tool_name: Mapped[str]
    version_number: Mapped[int]
    digest: Mapped[str]
    caller: Mapped[str]
    origin: Mapped[str]
    outcome: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    result: Mapped[str]
    error: Mapped[str]
    stdout: Mapped[str]
    undeclared: Mapped[list[str]] = mapped_column(server_default="{}")
    duration_ms: Mapped[float]
    started_at: Mapped[datetime] = mapped_column(index=True)


class RecoveryRow(Row):
    """The projection of the newest workflow that brought, or brings, a server back."""

    __tablename__ = "recoveries"

    server_id: Mapped[UUID] = mapped_column(ForeignKey("servers.id"), primary_key=True)
    state: Mapped[str]
    problem: Mapped[str]
    tries: Mapped[int]
    started_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class NoticeRow(Row):
    """Something that people are told; its id is derived from what happened."""

    __tablename__ = "notices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    event: Mapped[str]
    about: Mapped[str]
    path: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)


class InboxRow(Row):
    """A notice in one person's panel."""

    __tablename__ = "notice_inbox"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notices.id"), primary_key=True)
    read_at: Mapped[datetime | None]


class NoticeTargetRow(Row):
    __tablename__ = "notice_targets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    shown: Mapped[str]
    key_id: Mapped[str]
    sealed: Mapped[bytes]
    """Address and signing secret."""
    events: Mapped[list[str]]
    """Empty: all."""
    private: Mapped[bool]
    problem: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class DeliveryRow(Row):
    """A notice on its way to one target."""

    __tablename__ = "notice_deliveries"
    __table_args__ = (
        Index(
            "ix_notice_deliveries_open",
            "notice_id",
            postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
        ),
    )

    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notices.id"), primary_key=True)
    target_id: Mapped[UUID] = mapped_column(
        ForeignKey("notice_targets.id", ondelete="CASCADE"), primary_key=True
    )
    tries: Mapped[int]
    problem: Mapped[str]
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]


class AuditRow(Row):
    """Append-only; ``hash`` covers this row and the hash of the one before it."""

    __tablename__ = "audit_events"

    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(index=True)
    subject: Mapped[str] = mapped_column(index=True)
    """``request:<id>``, ``tool:<id>`` and so on."""
    detail: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    previous_hash: Mapped[str]
    hash: Mapped[str]


class AnchorRow(Row):
    """Append-only, as the log itself."""

    __tablename__ = "audit_anchors"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
    envelope: Mapped[str]
    """As signed: DSSE, a JSON text."""
