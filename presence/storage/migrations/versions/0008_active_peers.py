"""How many peers of a room are active, beside what it counts.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "rooms", sa.Column("active_peers", sa.Integer(), nullable=False, server_default="0")
    )
    op.execute(
        "UPDATE rooms SET active_peers = (SELECT count(*) FROM peers WHERE "
        "peers.room_id = rooms.id AND peers.id IN (SELECT peer_row_id FROM sessions))"
    )


def downgrade() -> None:
    with op.batch_alter_table("rooms") as table:
        table.drop_column("active_peers")
