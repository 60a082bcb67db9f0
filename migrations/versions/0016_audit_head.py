"""The newest hash of the audit log with its lock, at one time instead of two.

Each statement of a function sees what was committed before it began, so the second one sees what
others wrote while the first one waited for them.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION audit_head() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(1835233377);
            RETURN (SELECT hash FROM audit_events ORDER BY sequence DESC LIMIT 1);
        END
        $$
        """
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION audit_head()")
