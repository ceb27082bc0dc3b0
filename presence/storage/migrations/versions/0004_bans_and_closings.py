"""Peers that are banned from rooms, and rooms that are closed to everybody.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bans",
        sa.Column("room_name", sa.String(length=128), nullable=False),
        sa.Column("peer_id", sa.String(length=128), nullable=False),
        sa.Column("until", INSTANT, nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("room_name", "peer_id", name=op.f("pk_bans")),
    )
    op.create_table(
        "closings",
        sa.Column("room_name", sa.String(length=128), nullable=False),
        sa.Column("until", INSTANT, nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("room_name", name=op.f("pk_closings")),
    )


def downgrade() -> None:
    op.drop_table("closings")
    op.drop_table("bans")
