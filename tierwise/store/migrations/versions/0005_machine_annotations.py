"""What was last written on a machine, so that a change behind our back is seen; unknown of machines made before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("machine", sa.Column("annotations", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("machine", "annotations")
