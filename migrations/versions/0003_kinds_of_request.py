"""Grants that end and are revoked, releases that are revoked, bundles that are granted in part."""

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
    op.add_column("change_requests", sa.Column("granted", sa.JSON(), nullable=True))
    op.add_column("change_requests", sa.Column("granted_days", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("change_requests", "granted_days")
    op.drop_column("change_requests", "granted")
    for name in ("revoked_at", *_WHO_AND_WHY):
        op.drop_column("releases", name)
    op.drop_index(op.f("ix_grants_request_id"), "grants")
    for name in _WHO_AND_WHY:
        op.drop_column("grants", name)
