"""The table of review policies."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class PolicyRow(Row):
    """Never updated: a change of the review policy adds the next version."""

    __tablename__ = "review_policies"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1; version 0 is built in and has no row."""
    policy: Mapped[dict[str, Any]]
    """A :class:`mcpbox.domain.review_policy.ReviewPolicy`."""
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]
    reason: Mapped[str]
