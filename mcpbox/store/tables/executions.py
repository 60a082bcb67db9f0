"""The table of executions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class ExecutionRow(Row):
    __tablename__ = "executions"
    __table_args__ = (Index("ix_executions_tool_id_started_at", "tool_id", "started_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tool_id: Mapped[UUID] = mapped_column(ForeignKey("tools.id"))
    tool_name: Mapped[str]
    version_number: Mapped[int]
    digest: Mapped[str]
    caller: Mapped[str]
    origin: Mapped[str]
    outcome: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    result: Mapped[str]
    error: Mapped[str]
    stdout: Mapped[str]
    undeclared: Mapped[list[str]] = mapped_column(server_default="{}")
    duration_ms: Mapped[float]
    started_at: Mapped[datetime] = mapped_column(index=True)
