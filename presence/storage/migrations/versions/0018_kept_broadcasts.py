"""Broadcasts that are kept for those who are away.

Revision: 0018, after 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("last_broadcast", "gone_broadcast"):
        op.add_column("rooms", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "broadcasts",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column(
            "room_id",
            ROW_ID,
            sa.ForeignKey("rooms.id", ondelete="CASCADE", name=op.f("fk_broadcasts_room_id_rooms")),
            nullable=False,
        ),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("peer_id", NAME, nullable=True),
        sa.Column("session", sa.String(64), nullable=True),
        sa.Column("name", sa.String(64), nullable=True),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("room_id", "number", name=op.f("uq_broadcasts_room_id_number")),
    )


def downgrade() -> None:
    op.drop_table("broadcasts")
    with op.batch_alter_table("rooms") as table:
        table.drop_column("gone_broadcast")
        table.drop_column("last_broadcast")
