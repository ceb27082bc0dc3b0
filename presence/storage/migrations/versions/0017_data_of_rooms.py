"""Data of rooms, beside that of their peers.

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "rooms", sa.Column("data_version", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.create_table(
        "room_data",
        sa.Column(
            "room_id",
            ROW_ID,
            sa.ForeignKey("rooms.id", ondelete="CASCADE", name=op.f("fk_room_data_room_id_rooms")),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("changed_by", NAME, nullable=True),
    )


def downgrade() -> None:
    op.drop_table("room_data")
    with op.batch_alter_table("rooms") as table:
        table.drop_column("data_version")
