"""What rooms and the server hold in files, and since when rooms are empty.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "rooms", sa.Column("file_bytes", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("rooms", sa.Column("empty_since", INSTANT, nullable=True))
    op.create_table(
        "usage",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rooms", sa.Integer(), nullable=False),
        sa.Column("file_bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage")),
    )
    op.execute(
        "UPDATE rooms SET file_bytes = (SELECT coalesce(sum(files.size), 0) FROM files "
        "JOIN peers ON peers.id = files.peer_row_id WHERE peers.room_id = rooms.id)"
    )
    op.execute(
        "UPDATE rooms SET empty_since = created_at "
        "WHERE NOT EXISTS (SELECT 1 FROM peers WHERE peers.room_id = rooms.id)"
    )
    op.execute(
        "INSERT INTO usage (id, rooms, file_bytes, first_version) SELECT 1, "
        "(SELECT count(*) FROM rooms), (SELECT coalesce(sum(size), 0) FROM files), 0"
    )


def downgrade() -> None:
    op.drop_table("usage")
    with op.batch_alter_table("rooms") as table:
        table.drop_column("empty_since")
        table.drop_column("file_bytes")
