"""The review policy in its versions, and what each request was judged by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "review_policies",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_review_policies")),
    )
    op.add_column(
        "change_requests",
        sa.Column("policy_version", sa.Integer(), server_default="0", nullable=False),
    )
    op.add_column("change_requests", sa.Column("facts", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("change_requests", "facts")
    op.drop_column("change_requests", "policy_version")
    op.drop_table("review_policies")
