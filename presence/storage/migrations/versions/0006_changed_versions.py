"""When anything that a list shows of a peer last changed, and what a peer did last by its id.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "peers",
        sa.Column("changed_version", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index("ix_peers_room_id_changed_version", "peers", ["room_id", "changed_version"])
    op.create_index(
        "ix_activity_room_id_peer_id_at_id", "activity", ["room_id", "peer_id", "at", "id"]
    )


def downgrade() -> None:
    op.drop_index("ix_activity_room_id_peer_id_at_id", "activity")
    op.drop_index("ix_peers_room_id_changed_version", "peers")
    with op.batch_alter_table("peers") as table:
        table.drop_column("changed_version")
