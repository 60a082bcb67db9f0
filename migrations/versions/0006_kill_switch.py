"""Who stopped, disabled or quarantined what, when and why.

What is stopped or disabled already counts as done by whoever made it, so they may undo it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"
branch_labels = None
depends_on = None

_NARROWINGS = {
    "servers": (("stopped", "stop"), ("quarantined", "quarantine")),
    "tools": (("disabled", "disable"), ("quarantined", "quarantine")),
}


def upgrade() -> None:
    for table, narrowings in _NARROWINGS.items():
        for done, verb in narrowings:
            op.add_column(table, sa.Column(f"{done}_at", sa.DateTime(timezone=True)))
            op.add_column(table, sa.Column(f"{done}_by", sa.Text()))
            op.add_column(table, sa.Column(f"{verb}_reason", sa.Text()))
    op.execute(
        "UPDATE servers SET stopped_at = updated_at, stopped_by = created_by"
        " WHERE desired_state = 'stopped'"
    )
    op.execute(
        "UPDATE tools SET disabled_at = updated_at, disabled_by = created_by WHERE NOT enabled"
    )


def downgrade() -> None:
    for table, narrowings in _NARROWINGS.items():
        for done, verb in narrowings:
            op.drop_column(table, f"{done}_at")
            op.drop_column(table, f"{done}_by")
            op.drop_column(table, f"{verb}_reason")
