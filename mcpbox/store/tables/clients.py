"""The table of clients."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class ClientRow(Row):
    __tablename__ = "clients"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    scopes: Mapped[list[str]]
    servers: Mapped[list[str]] = mapped_column(server_default="{}")
    token_hash: Mapped[str] = mapped_column(unique=True)
    old_token_hash: Mapped[str | None] = mapped_column(unique=True)
    """Of the token before this one, which is good until :attr:`old_token_until`."""
    old_token_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
