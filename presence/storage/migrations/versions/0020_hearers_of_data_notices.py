"""Whether a lost connection was told of data by notices, beside lists and changes.

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "recoveries",
        sa.Column("data_notices", sa.Boolean(), server_default=sa.true(), nullable=False),
    )


def downgrade() -> None:
    with op.batch_alter_table("recoveries") as table:
        table.drop_column("data_notices")
