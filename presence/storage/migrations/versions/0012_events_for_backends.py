"""What happens in rooms, for backends to be told of, and what webhooks have not taken yet.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")


def happening():
    return (
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("room_name", NAME, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("peer_id", NAME, nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
    )


def upgrade() -> None:
    op.create_table("outbox", sa.Column("id", ROW_ID, primary_key=True), *happening())
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        *happening(),
    )
    op.create_index("ix_events_room_name_position", "events", ["room_name", "position"])
    op.create_index("ix_events_room_name_peer_id", "events", ["room_name", "peer_id"])
    log = op.create_table(
        "event_log",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("gone", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(log, [{"id": 1, "last_position": 0, "gone": 0}])
    op.create_table(
        "webhook_queue",
        sa.Column("hook", sa.String(32), primary_key=True),
        sa.Column("room_name", NAME, primary_key=True),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(200), nullable=True),
        sa.Column("lease", sa.String(32), nullable=True),
        sa.Column("leased_by", sa.String(32), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_webhook_queue_hook_due_at", "webhook_queue", ["hook", "due_at"])
    op.create_table(
        "webhook_failures",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("hook", sa.String(32), nullable=False),
        sa.Column("room_name", NAME, nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(200), nullable=False),
    )
    op.create_index("ix_webhook_failures_hook", "webhook_failures", ["hook"])


def downgrade() -> None:
    for name in ("webhook_failures", "webhook_queue", "event_log", "events", "outbox"):
        op.drop_table(name)
