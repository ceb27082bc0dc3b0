"""Who made a room, so that nobody makes all that there may be.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rooms", sa.Column("made_by", sa.String(128), nullable=True))
    op.create_index("ix_rooms_made_by", "rooms", ["made_by"])


def downgrade() -> None:
    op.drop_index("ix_rooms_made_by", "rooms")
    with op.batch_alter_table("rooms") as table:
        table.drop_column("made_by")
