"""Hosts and runs of evidence; releases on probation."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("hosts", "runs"):
        op.add_column("evidence", sa.Column(column, sa.JSON(), server_default="[]", nullable=False))
    op.add_column(
        "executions",
        sa.Column("undeclared", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("decisions", sa.Column("probation", sa.JSON(), nullable=True))
    op.create_table(
        "probations",
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("tool_id", sa.Uuid(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("undeclared", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_probations")),
        sa.ForeignKeyConstraint(
            ["release_id"], ["releases.id"], name=op.f("fk_probations_release_id")
        ),
        sa.ForeignKeyConstraint(["tool_id"], ["tools.id"], name=op.f("fk_probations_tool_id")),
    )
    op.create_index(op.f("ix_probations_tool_id"), "probations", ["tool_id"])
    op.create_index(
        "ix_probations_open",
        "probations",
        ["began_at"],
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("probations")
    op.drop_column("decisions", "probation")
    op.drop_column("executions", "undeclared")
    for column in ("runs", "hosts"):
        op.drop_column("evidence", column)
