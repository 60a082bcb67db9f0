"""The table of secrets."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


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
