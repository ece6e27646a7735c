"""Periods that are open, in review or closed, numbered statements, and the files they were made by.

Periods that were issued before are closed: their statements are what was known then, without a ledger
until `tierwise charge close` writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STAYS = (
    "BEGIN SELECT RAISE(ABORT, "
    "'what is booked stays: a late fact becomes a correction in the next open period'); END"
)

_GUARDS = (
    "documents_version_never_update BEFORE UPDATE ON documents_version",
    "documents_version_never_delete BEFORE DELETE ON documents_version",
    (
        "billing_period_never_update BEFORE UPDATE ON billing_period "
        "WHEN OLD.state = 'closed' AND OLD.ledger IS NOT NULL"
    ),
    "billing_period_never_delete BEFORE DELETE ON billing_period WHEN OLD.state = 'closed'",
    "statement_never_update BEFORE UPDATE ON statement",
    "statement_never_delete BEFORE DELETE ON statement",
    (
        "statement_never_insert BEFORE INSERT ON statement "
        "WHEN EXISTS (SELECT 1 FROM billing_period AS p WHERE p.period = NEW.period "
        "AND p.state = 'closed' AND p.ledger IS NOT NULL)"
    ),
)


def upgrade() -> None:
    op.create_table(
        "documents_version",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "billing_period",
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rate_card", sa.String(), nullable=False),
        sa.Column("documents", sa.String(), nullable=True),
        sa.Column("known_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("ledger", sa.String(), nullable=True),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'review', 'closed')", name="state_known"),
        sa.CheckConstraint("(state = 'open') = (known_at IS NULL)", name="known_unless_open"),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed_at_a_moment"),
        sa.ForeignKeyConstraint(["documents"], ["documents_version.digest"]),
        sa.PrimaryKeyConstraint("period"),
    )
    op.create_table(
        "statement",
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("minor_digits", sa.Integer(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("position >= 1 AND lines >= 1", name="counted_from_one"),
        sa.ForeignKeyConstraint(["period"], ["billing_period.period"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("period", "position", name="one_statement_per_position"),
        sa.UniqueConstraint("period", "tenant", name="one_statement_per_tenant"),
    )
    op.create_index(op.f("ix_statement_period"), "statement", ["period"], unique=False)
    op.execute(
        "INSERT INTO billing_period (period, state, rate_card, known_at, closed_at, lines, total_minor) "
        "SELECT period, 'closed', rate_card, known_at, known_at, 0, 0 FROM issued_period"
    )
    op.drop_table("issued_period")
    # SQLite's triggers, as that is the database we open; another one would need its own.
    for guard in _GUARDS:
        op.execute(f"CREATE TRIGGER {guard} {_STAYS}")


def downgrade() -> None:
    op.create_table(
        "issued_period",
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("rate_card", sa.String(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("period"),
    )
    op.execute(
        "INSERT INTO issued_period (period, rate_card, known_at) "
        "SELECT period, rate_card, known_at FROM billing_period WHERE state = 'closed'"
    )
    for guard in _GUARDS:
        op.execute(f"DROP TRIGGER {guard.split(maxsplit=1)[0]}")
    op.drop_index(op.f("ix_statement_period"), "statement")
    op.drop_table("statement")
    op.drop_table("billing_period")
    op.drop_table("documents_version")
