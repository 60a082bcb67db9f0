"""Tables of external sources and of what they offered."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class SourceRow(Row):
    """Its endpoint never changes: what was approved was approved with it."""

    __tablename__ = "external_sources"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    server_id: Mapped[UUID] = mapped_column(ForeignKey("servers.id"), unique=True)
    endpoint: Mapped[dict[str, Any]]
    allow_private: Mapped[bool]
    state: Mapped[str]
    problem: Mapped[str]
    checked_at: Mapped[datetime | None]
    failures: Mapped[int]
    snapshot_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("capability_snapshots.id", use_alter=True)
    )
    """The newest."""
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class SnapshotRow(Row):
    """Never updated; one for each change of what a source offers."""

    __tablename__ = "capability_snapshots"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID] = mapped_column(ForeignKey("external_sources.id"), index=True)
    digest: Mapped[str]
    listing: Mapped[dict[str, Any]]
    taken_at: Mapped[datetime]
