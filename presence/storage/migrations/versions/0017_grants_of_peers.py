"""Peers whose rights an admin has changed.

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("peers", sa.Column("grants", sa.String(200), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("peers") as table:
        table.drop_column("grants")
