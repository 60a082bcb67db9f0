"""External sources, snapshots of what they offer, and versions that pass their calls on."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_SNAPSHOT = "fk_external_sources_snapshot_id"


def upgrade() -> None:
    op.add_column("tool_versions", sa.Column("passes_to", sa.JSON(none_as_null=True)))
    op.create_table(
        "external_sources",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("server_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("allow_private", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("checked_at", _TIME),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("snapshot_id", sa.Uuid()),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name="fk_external_sources_server_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_external_sources"),
        sa.UniqueConstraint("server_id", name="uq_external_sources_server_id"),
    )
    op.create_table(
        "capability_snapshots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("listing", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("taken_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["external_sources.id"], name="fk_capability_snapshots_source_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_capability_snapshots"),
    )
    op.create_index("ix_capability_snapshots_source_id", "capability_snapshots", ["source_id"])
    op.create_foreign_key(
        _SNAPSHOT, "external_sources", "capability_snapshots", ["snapshot_id"], ["id"]
    )


def downgrade() -> None:
    op.drop_constraint(_SNAPSHOT, "external_sources")
    op.drop_table("capability_snapshots")
    op.drop_table("external_sources")
    op.drop_column("tool_versions", "passes_to")
