"""What waits for webhooks, and what they would not take, found by the name of a room.

Revision: 0021, after 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = ("webhook_queue", "webhook_failures")


def upgrade() -> None:
    for table in TABLES:
        op.create_index(f"ix_{table}_room_name", table, ["room_name"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_room_name", table)
