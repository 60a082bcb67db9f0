"""Tables of releases, and of the probation that some are on."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


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
