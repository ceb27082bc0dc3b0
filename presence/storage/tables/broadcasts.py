"""The table of what was said in rooms and is kept for those who are away."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from presence.storage.instants import UtcDateTime
from presence.storage.models import USERNAME_LENGTH, Base, Name, RowId


class Broadcast(Base):
    """A broadcast that is kept; ``number`` rises by one in its room, in the order of the commits.

    ``peer_id`` and ``session`` (the socket) are who said it; null for a backend, whose ``name`` is
    what it called itself. ``data`` is JSON as text, of which the database is asked nothing, and
    ``size`` what is counted for it, in bytes.
    """

    __tablename__ = "broadcasts"
    __table_args__ = (UniqueConstraint("room_id", "number"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(BigInteger)
    peer_id: Mapped[str | None] = mapped_column(Name)
    session: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str | None] = mapped_column(String(USERNAME_LENGTH))
    event: Mapped[str] = mapped_column(String(64))
    data: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
