"""The table of recoveries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class RecoveryRow(Row):
    """The projection of the newest workflow that brought, or brings, a server back."""

    __tablename__ = "recoveries"

    server_id: Mapped[UUID] = mapped_column(ForeignKey("servers.id"), primary_key=True)
    state: Mapped[str]
    problem: Mapped[str]
    tries: Mapped[int]
    started_at: Mapped[datetime]
    updated_at: Mapped[datetime]
