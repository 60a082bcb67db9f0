"""An approver's own end of what a request grants."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("granted_days", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("decisions", "granted_days")
