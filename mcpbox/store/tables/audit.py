"""Tables of the audit log and its anchors."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class AuditRow(Row):
    """Append-only; ``hash`` covers this row and the hash of the one before it."""

    __tablename__ = "audit_events"

    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(index=True)
    subject: Mapped[str] = mapped_column(index=True)
    """``request:<id>``, ``tool:<id>`` and so on."""
    detail: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    previous_hash: Mapped[str]
    hash: Mapped[str]


class AnchorRow(Row):
    """Append-only, as the log itself."""

    __tablename__ = "audit_anchors"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
    envelope: Mapped[str]
    """As signed: DSSE, a JSON text."""
