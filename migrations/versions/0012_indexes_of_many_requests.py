"""Indexes for what looks for a few among many requests."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLE = "change_requests"


def upgrade() -> None:
    op.create_index("ix_change_requests_created_at", _TABLE, ["created_at"])
    op.create_index("ix_change_requests_server_id_kind", _TABLE, ["server_id", "kind"])
    # What begins alike is found by it in every collation; the unique one is for C alone.
    op.create_index(
        "ix_change_requests_workflow_id_prefix",
        _TABLE,
        ["workflow_id"],
        postgresql_ops={"workflow_id": "text_pattern_ops"},
    )


def downgrade() -> None:
    for name in ("workflow_id_prefix", "server_id_kind", "created_at"):
        op.drop_index(f"ix_change_requests_{name}", _TABLE)
