"""The table of tokens that were taken back."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from presence.storage.instants import UtcDateTime
from presence.storage.models import NAME_LENGTH, Base, Name, RowId


class Revocation(Base):
    """Tokens that are good no longer: all that have what it names and are for no more than rooms.

    ``room`` has patterns, one a line. Without a ``jti`` it is about those made up to ``made_at``.
    """

    __tablename__ = "revocations"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    jti: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    peer_id: Mapped[str | None] = mapped_column(Name)
    room: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
