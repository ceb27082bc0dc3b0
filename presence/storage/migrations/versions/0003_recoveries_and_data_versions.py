"""Secrets that give a lost connection its place back, and when a peer's data last changed.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recoveries",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("peer_row_id", ROW_ID, nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("deltas", sa.Boolean(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["peer_row_id"],
            ["peers.id"],
            name=op.f("fk_recoveries_peer_row_id_peers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_recoveries")),
    )
    op.create_index("ix_recoveries_peer_row_id", "recoveries", ["peer_row_id"])
    op.create_index("ix_recoveries_sid", "recoveries", ["sid"])
    op.create_index("ix_recoveries_expires_at", "recoveries", ["expires_at"])
    op.add_column(
        "peers",
        sa.Column("data_version", sa.BigInteger(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    with op.batch_alter_table("peers") as table:
        table.drop_column("data_version")
    op.drop_table("recoveries")
