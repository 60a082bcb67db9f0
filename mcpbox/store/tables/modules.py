"""Tables of modules: wheels, and the sets that they make up."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from mcpbox.store.tables.base import Row


class WheelRow(Row):
    """Kept here, so that any sandbox can be given it again."""

    __tablename__ = "wheels"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    filename: Mapped[str]
    content: Mapped[bytes]
    created_at: Mapped[datetime]


class ModuleSetRow(Row):
    """Never updated: its digest names the wheels it is made of."""

    __tablename__ = "module_sets"

    digest: Mapped[str] = mapped_column(primary_key=True)
    lock: Mapped[dict[str, Any]]
    """A :class:`mcpbox.domain.modules.WheelLock`."""
    created_at: Mapped[datetime]
