"""Rounds, comments, review terms, partial approvals, break-glass and deputies."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0008"
branch_labels = None
depends_on = None

_NAMES = sa.ARRAY(sa.Text())
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "change_requests", sa.Column("round", sa.Integer(), server_default="1", nullable=False)
    )
    op.add_column(
        "change_requests", sa.Column("terms", sa.JSON(), server_default="{}", nullable=False)
    )
    for name in ("authors", "owners"):
        op.add_column(
            "change_requests", sa.Column(name, _NAMES, server_default="{}", nullable=False)
        )
    op.add_column("change_requests", sa.Column("assignee", sa.Text(), nullable=True))
    op.add_column("change_requests", sa.Column("escalated_at", _TIME, nullable=True))
    op.add_column("change_requests", sa.Column("review_afterwards", sa.Text(), nullable=True))
    op.add_column("decisions", sa.Column("round", sa.Integer(), server_default="1", nullable=False))
    op.add_column("decisions", sa.Column("refused", _NAMES, server_default="{}", nullable=False))
    op.add_column(
        "decisions", sa.Column("break_glass", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column("decisions", sa.Column("on_behalf_of", sa.Text(), nullable=True))
    op.add_column("decisions", sa.Column("retracted_at", _TIME, nullable=True))
    op.create_table(
        "request_rounds",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["change_requests.id"], name=op.f("fk_request_rounds_request_id")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["tool_versions.id"], name=op.f("fk_request_rounds_version_id")
        ),
        sa.PrimaryKeyConstraint("request_id", "number", name=op.f("pk_request_rounds")),
    )
    op.execute(
        "INSERT INTO request_rounds (request_id, number, version_id, digest, notes, opened_at, "
        "evidence) SELECT id, 1, version_id, digest, notes, created_at, '[]' FROM change_requests"
    )
    op.create_table(
        "request_comments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=True),
        sa.Column("commented_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["change_requests.id"], name=op.f("fk_request_comments_request_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_comments")),
    )
    op.create_index(op.f("ix_request_comments_request_id"), "request_comments", ["request_id"])
    op.create_table(
        "delegations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delegator", sa.Text(), nullable=False),
        sa.Column("deputy", sa.Text(), nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["delegator"], ["users.username"], name=op.f("fk_delegations_delegator")
        ),
        sa.ForeignKeyConstraint(["deputy"], ["users.username"], name=op.f("fk_delegations_deputy")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegations")),
    )
    op.create_index(op.f("ix_delegations_deputy"), "delegations", ["deputy"])


def downgrade() -> None:
    op.drop_table("delegations")
    op.drop_table("request_comments")
    op.drop_table("request_rounds")
    for name in ("retracted_at", "on_behalf_of", "break_glass", "refused", "round"):
        op.drop_column("decisions", name)
    for name in (
        "review_afterwards",
        "escalated_at",
        "assignee",
        "owners",
        "authors",
        "terms",
        "round",
    ):
        op.drop_column("change_requests", name)
