"""Moves of machines between pools."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "move",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("machine", sa.String(), nullable=False),
        sa.Column("source_pool", sa.String(), nullable=False),
        sa.Column("source_native_id", sa.String(), nullable=False),
        sa.Column("target_pool", sa.String(), nullable=False),
        sa.Column("held_pool", sa.String(), nullable=False),
        sa.Column("vcpu", sa.BigInteger(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("was_on", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('moving', 'moved', 'stuck', 'confirmed', 'undone', 'failed')", name="state_known"
        ),
        sa.ForeignKeyConstraint(["machine"], ["machine.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("move", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_move_machine"), ["machine"], unique=False)
        batch_op.create_index(
            "one_open_move_per_machine",
            ["machine"],
            unique=True,
            sqlite_where=sa.text("state IN ('moving', 'moved', 'stuck')"),
            postgresql_where=sa.text("state IN ('moving', 'moved', 'stuck')"),
        )


def downgrade() -> None:
    with op.batch_alter_table("move", schema=None) as batch_op:
        batch_op.drop_index(
            "one_open_move_per_machine",
            sqlite_where=sa.text("state IN ('moving', 'moved', 'stuck')"),
            postgresql_where=sa.text("state IN ('moving', 'moved', 'stuck')"),
        )
        batch_op.drop_index(batch_op.f("ix_move_machine"))

    op.drop_table("move")
