"""The table of servers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class ServerRow(Row):
    """Deleted ones stay: tools, requests and executions name them for ever."""

    __tablename__ = "servers"
    __table_args__ = (
        Index(
            "uq_servers_name",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
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
    deleted_at: Mapped[datetime | None]
