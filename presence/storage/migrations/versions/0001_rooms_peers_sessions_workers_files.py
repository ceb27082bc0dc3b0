"""Rooms, peers, sessions, workers and files.

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

INSTANT = sa.DateTime(timezone=True)
# Sorted by code points, as Python does.
NAME = sa.String(length=128).with_variant(sa.String(length=128, collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rooms",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("max_peers", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rooms")),
        sa.UniqueConstraint("name", name=op.f("uq_rooms_name")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("renewed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "peers",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("room_id", ROW_ID, nullable=False),
        sa.Column("peer_id", NAME, nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("joined_at", INSTANT, nullable=False),
        sa.Column("last_seen", INSTANT, nullable=False),
        sa.Column(
            "user_data", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.id"], name=op.f("fk_peers_room_id_rooms"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_peers")),
        sa.UniqueConstraint("room_id", "peer_id", name=op.f("uq_peers_room_id_peer_id")),
    )
    op.create_index(
        "ix_peers_room_id_joined_at_peer_id", "peers", ["room_id", "joined_at", "peer_id"]
    )

    op.create_table(
        "files",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("peer_row_id", ROW_ID, nullable=False),
        sa.Column("stored_name", sa.String(length=48), nullable=False),
        sa.Column("original_name", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=128), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("uploaded_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["peer_row_id"],
            ["peers.id"],
            name=op.f("fk_files_peer_row_id_peers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("stored_name", name=op.f("uq_files_stored_name")),
    )
    op.create_index("ix_files_peer_row_id", "files", ["peer_row_id"])

    op.create_table(
        "sessions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("peer_row_id", ROW_ID, nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=True),
        sa.Column("worker_id", sa.String(length=32), nullable=True),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["peer_row_id"],
            ["peers.id"],
            name=op.f("fk_sessions_peer_row_id_peers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["worker_id"],
            ["workers.id"],
            name=op.f("fk_sessions_worker_id_workers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("sid", name=op.f("uq_sessions_sid")),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_peer_row_id", "sessions", ["peer_row_id"])
    op.create_index("ix_sessions_worker_id", "sessions", ["worker_id"])


def downgrade() -> None:

    op.drop_table("sessions")

    op.drop_table("files")

    op.drop_table("peers")
    op.drop_table("workers")
    op.drop_table("rooms")
