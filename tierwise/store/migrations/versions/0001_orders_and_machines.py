"""Orders, machines and their events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "endpoint_view",
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("tried_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("snapshot", sa.String(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint"),
    )
    op.create_table(
        "estate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "issued_period",
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("rate_card", sa.String(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("period"),
    )
    op.create_table(
        "machine_event",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("machine", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("details", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("key"),
    )
    with op.batch_alter_table("machine_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_machine_event_machine"), ["machine"], unique=False)
        batch_op.create_index(batch_op.f("ix_machine_event_recorded_at"), ["recorded_at"], unique=False)
        batch_op.create_index("machine_event_by_machine", ["machine", "at", "sequence"], unique=False)

    op.create_table(
        "order_",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("machine_name", sa.String(), nullable=False),
        sa.Column("offering", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=True),
        sa.Column("tier", sa.String(), nullable=True),
        sa.Column("price_minor", sa.Integer(), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("ordered_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('accepted', 'placed', 'delivered', 'refused', 'failed', 'removed')",
            name="status_known",
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("order_", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order__batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_order__tenant"), ["tenant"], unique=False)
        batch_op.create_index(
            "one_live_machine_per_name",
            ["machine_name"],
            unique=True,
            sqlite_where=sa.text("status IN ('accepted', 'placed', 'delivered')"),
            postgresql_where=sa.text("status IN ('accepted', 'placed', 'delivered')"),
        )

    op.create_table(
        "allocation",
        sa.Column("consumer", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("vcpu", sa.BigInteger(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("vcpu >= 0 AND memory_mib >= 0 AND disk_gib >= 0", name="amounts_not_negative"),
        sa.ForeignKeyConstraint(["consumer"], ["order_.id"]),
        sa.PrimaryKeyConstraint("consumer"),
    )
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_allocation_pool"), ["pool"], unique=False)

    op.create_table(
        "machine",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("native_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("power", sa.String(), nullable=False),
        sa.Column("vcpu", sa.BigInteger(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'deleted')", name="state_known"),
        sa.ForeignKeyConstraint(["id"], ["order_.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("machine", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_machine_pool"), ["pool"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("machine", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_machine_pool"))

    op.drop_table("machine")
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_allocation_pool"))

    op.drop_table("allocation")
    with op.batch_alter_table("order_", schema=None) as batch_op:
        batch_op.drop_index(
            "one_live_machine_per_name",
            sqlite_where=sa.text("status IN ('accepted', 'placed', 'delivered')"),
            postgresql_where=sa.text("status IN ('accepted', 'placed', 'delivered')"),
        )
        batch_op.drop_index(batch_op.f("ix_order__tenant"))
        batch_op.drop_index(batch_op.f("ix_order__batch_id"))

    op.drop_table("order_")
    with op.batch_alter_table("machine_event", schema=None) as batch_op:
        batch_op.drop_index("machine_event_by_machine")
        batch_op.drop_index(batch_op.f("ix_machine_event_recorded_at"))
        batch_op.drop_index(batch_op.f("ix_machine_event_machine"))

    op.drop_table("machine_event")
    op.drop_table("issued_period")
    op.drop_table("estate")
    op.drop_table("endpoint_view")
    op.drop_table("batch")
