"""Grants that end and are revoked, revoked releases, bundles granted in part, secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WHO_AND_WHY = ("revoked_by", "revoke_reason")


def upgrade() -> None:
    for name in _WHO_AND_WHY:
        op.add_column("grants", sa.Column(name, sa.Text(), nullable=True))
    op.create_index(op.f("ix_grants_request_id"), "grants", ["request_id"])
    op.add_column("releases", sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True))
    for name in _WHO_AND_WHY:
        op.add_column("releases", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("server_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hosts", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_secrets_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
        sa.UniqueConstraint("server_id", "name", name=op.f("uq_secrets_server_id")),
    )
    op.add_column("change_requests", sa.Column("granted", sa.JSON(), nullable=True))
    op.add_column("change_requests", sa.Column("granted_days", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_table("secrets")
    op.drop_column("change_requests", "granted_days")
    op.drop_column("change_requests", "granted")
    for name in ("revoked_at", *_WHO_AND_WHY):
        op.drop_column("releases", name)
    op.drop_index(op.f("ix_grants_request_id"), "grants")
    for name in _WHO_AND_WHY:
        op.drop_column("grants", name)
