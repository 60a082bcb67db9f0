"""The table of grants."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


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
