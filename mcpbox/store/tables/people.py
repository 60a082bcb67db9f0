"""Tables of people: users, their sessions, and who stands in for whom."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


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


class DelegationRow(Row):
    __tablename__ = "delegations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    delegator: Mapped[str] = mapped_column(ForeignKey("users.username"))
    deputy: Mapped[str] = mapped_column(ForeignKey("users.username"), index=True)
    until: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
