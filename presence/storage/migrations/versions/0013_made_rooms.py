"""Rooms that somebody has made before anybody joined them, and how long they keep peers.

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

HAS_ITS_OWN = sa.text("keep_inactive IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "rooms", sa.Column("is_made", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("rooms", sa.Column("keep_inactive", sa.Integer(), nullable=True))
    op.create_index(
        "ix_rooms_keep_inactive",
        "rooms",
        ["keep_inactive"],
        sqlite_where=HAS_ITS_OWN,
        postgresql_where=HAS_ITS_OWN,
    )


def downgrade() -> None:
    op.drop_index("ix_rooms_keep_inactive", "rooms")
    with op.batch_alter_table("rooms") as table:
        table.drop_column("keep_inactive")
        table.drop_column("is_made")
