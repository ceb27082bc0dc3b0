"""Only the indexes that earn what every write pays for them.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WITH_AN_END = ("recoveries", "sessions")


def upgrade() -> None:
    has_end = sa.text("expires_at IS NOT NULL")
    for table in WITH_AN_END:
        op.drop_index(f"ix_{table}_expires_at", table)
        op.create_index(
            f"ix_{table}_expires_at",
            table,
            ["expires_at"],
            sqlite_where=has_end,
            postgresql_where=has_end,
        )
    op.drop_index("ix_sessions_worker_id", "sessions")
    op.drop_index("ix_peers_room_id_joined_at_peer_id", "peers")
    op.drop_index("ix_activity_room_id_at_id", "activity")


def downgrade() -> None:
    op.create_index("ix_activity_room_id_at_id", "activity", ["room_id", "at", "id"])
    op.create_index(
        "ix_peers_room_id_joined_at_peer_id", "peers", ["room_id", "joined_at", "peer_id"]
    )
    op.create_index("ix_sessions_worker_id", "sessions", ["worker_id"])
    for table in WITH_AN_END:
        op.drop_index(f"ix_{table}_expires_at", table)
        op.create_index(f"ix_{table}_expires_at", table, ["expires_at"])
