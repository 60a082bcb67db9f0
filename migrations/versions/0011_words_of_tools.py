"""What tools are found by, kept by Postgres itself for each version."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_WORDS = (
    "setweight(to_tsvector('english', replace(name, '_', ' ')), 'A') || "
    "setweight(to_tsvector('english', description), 'B')"
)


def upgrade() -> None:
    op.add_column(
        "tool_versions", sa.Column("words", TSVECTOR(), sa.Computed(_WORDS, persisted=True))
    )
    op.create_index("ix_tool_versions_words", "tool_versions", ["words"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_column("tool_versions", "words")
