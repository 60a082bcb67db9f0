"""Module sets and their wheels, receipts of releases, isolation of servers, other kinds of request.

Releases made before have no receipt, so the sandbox does not run them: publish them again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wheels",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_wheels")),
    )
    op.create_table(
        "module_sets",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("lock", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_module_sets")),
    )
    op.add_column(
        "servers", sa.Column("isolation", sa.Text(), server_default="call", nullable=False)
    )
    op.add_column("servers", sa.Column("module_set", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_servers_module_set"), "servers", "module_sets", ["module_set"], ["digest"]
    )
    op.add_column("releases", sa.Column("receipt", sa.Text(), nullable=True))
    op.add_column(
        "change_requests", sa.Column("subject", sa.JSON(), server_default="{}", nullable=False)
    )
    op.alter_column("change_requests", "tool_id", nullable=True)
    op.alter_column("change_requests", "version_id", nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM change_requests WHERE tool_id IS NULL")
    op.alter_column("change_requests", "version_id", nullable=False)
    op.alter_column("change_requests", "tool_id", nullable=False)
    op.drop_column("change_requests", "subject")
    op.drop_column("releases", "receipt")
    op.drop_constraint(op.f("fk_servers_module_set"), "servers", type_="foreignkey")
    op.drop_column("servers", "module_set")
    op.drop_column("servers", "isolation")
    op.drop_table("module_sets")
    op.drop_table("wheels")
