"""The table of evidence."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class EvidenceRow(Row):
    __tablename__ = "evidence"

    request_id: Mapped[UUID] = mapped_column(ForeignKey("change_requests.id"), primary_key=True)
    check: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    status: Mapped[str]
    summary: Mapped[str]
    findings: Mapped[list[dict[str, Any]]]
    facts: Mapped[dict[str, Any]]
    hosts: Mapped[list[dict[str, Any]]] = mapped_column(server_default="[]")
    runs: Mapped[list[dict[str, Any]]] = mapped_column(server_default="[]")
    checked_at: Mapped[datetime]
