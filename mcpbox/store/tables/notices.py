"""Tables of notices: what people are told, in the panel and at targets."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


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
