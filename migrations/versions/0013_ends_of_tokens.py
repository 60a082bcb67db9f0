"""Tokens of clients that end, that replace each other, and that are for some servers alone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLE = "clients"
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        _TABLE,
        sa.Column("servers", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column(_TABLE, sa.Column("old_token_hash", sa.Text(), nullable=True))
    op.add_column(_TABLE, sa.Column("old_token_until", _TIME, nullable=True))
    op.add_column(_TABLE, sa.Column("expires_at", _TIME, nullable=True))
    op.create_unique_constraint("uq_clients_old_token_hash", _TABLE, ["old_token_hash"])


def downgrade() -> None:
    op.drop_constraint("uq_clients_old_token_hash", _TABLE)
    for name in ("expires_at", "old_token_until", "old_token_hash", "servers"):
        op.drop_column(_TABLE, name)
