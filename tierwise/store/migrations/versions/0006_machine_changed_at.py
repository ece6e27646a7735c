"""When tierwise last changed a machine, which older looks at its endpoint do not show; unknown of those before."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("machine", sa.Column("changed_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("machine", "changed_at")
