"""Servers that were deleted: kept for the record, their names free for others."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLE = "servers"
_NAME = "uq_servers_name"


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(_NAME, _TABLE)
    op.create_index(
        _NAME, _TABLE, ["name"], unique=True, postgresql_where=sa.text("deleted_at IS NULL")
    )


def downgrade() -> None:
    op.drop_index(_NAME, _TABLE)
    op.create_unique_constraint(_NAME, _TABLE, ["name"])
    op.drop_column(_TABLE, "deleted_at")
