"""Rooms with passwords and lobbies, those who wait in them, and peers whose rights were changed.

Revision: 0016, after 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")
JSON_OBJECT = sa.JSON().with_variant(JSONB(), "postgresql")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("rooms", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column(
        "rooms", sa.Column("has_lobby", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("peers", sa.Column("grants", sa.String(200), nullable=True))
    op.create_table(
        "knocks",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("room_name", NAME, nullable=False),
        sa.Column("peer_id", NAME, nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("user_data", JSON_OBJECT, nullable=False),
        sa.Column("sid", sa.String(64), nullable=True),
        sa.Column(
            "worker_id",
            sa.String(32),
            sa.ForeignKey(
                "workers.id", ondelete="CASCADE", name=op.f("fk_knocks_worker_id_workers")
            ),
            nullable=True,
        ),
        sa.Column("knocked_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("refused", sa.String(200), nullable=True),
        sa.UniqueConstraint("sid", name=op.f("uq_knocks_sid")),
    )
    op.create_index("ix_knocks_room_name_peer_id", "knocks", ["room_name", "peer_id"])


def downgrade() -> None:
    op.drop_table("knocks")
    with op.batch_alter_table("peers") as table:
        table.drop_column("grants")
    with op.batch_alter_table("rooms") as table:
        table.drop_column("has_lobby")
        table.drop_column("password_hash")
