"""Tables of tools: the tool, its versions, and samples for its trial."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Computed, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row

_WORDS = (
    "setweight(to_tsvector('english', replace(name, '_', ' ')), 'A') || "
    "setweight(to_tsvector('english', description), 'B')"
)


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
    __table_args__ = (
        UniqueConstraint("tool_id", "number"),
        Index("ix_tool_versions_words", "words", postgresql_using="gin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tool_id: Mapped[UUID] = mapped_column(ForeignKey("tools.id"))
    number: Mapped[int]
    name: Mapped[str]
    description: Mapped[str]
    code: Mapped[str]
    input_schema: Mapped[dict[str, Any]]
    annotations: Mapped[dict[str, Any]]
    manifest: Mapped[dict[str, Any]]
    passes_to: Mapped[dict[str, Any] | None]
    digest: Mapped[str]
    author: Mapped[str]
    created_at: Mapped[datetime]
    words: Mapped[str] = mapped_column(TSVECTOR, Computed(_WORDS, persisted=True), deferred=True)
    """To find it by: its name counts more than its description."""


class SampleRow(Row):
    """Arguments the author gives for the trial that reviewers see; the newest ones count."""

    __tablename__ = "trial_samples"

    version_id: Mapped[UUID] = mapped_column(ForeignKey("tool_versions.id"), primary_key=True)
    arguments: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]
