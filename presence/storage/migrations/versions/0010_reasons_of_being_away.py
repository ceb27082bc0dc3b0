"""Why a peer is not active any more, for lists to tell.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("peers", sa.Column("away_reason", sa.String(16), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("peers") as table:
        table.drop_column("away_reason")
